#!/usr/bin/env bash
# Shell scripts: bash -n and shellcheck.
source "$(dirname "$0")/lib.bash"
mapfile -t scripts < <(files todo .ci/run '*.sh' '*.bash')
for script in "${scripts[@]}"; do
    bash -n "$script"
done
shellcheck --shell=bash --external-sources --source-path=SCRIPTDIR "${scripts[@]}"
