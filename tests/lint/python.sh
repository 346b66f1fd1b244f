#!/usr/bin/env bash
# Python: every file compiles, and pyflakes finds no unused or undefined name.
source "$(dirname "$0")/lib.bash"
mapfile -t modules < <(files '*.py' 'k8s/scripts/*-*')
((${#modules[@]})) || exit 0
pyflakes3 "${modules[@]}"
