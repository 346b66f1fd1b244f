#!/usr/bin/env bash
# tests/fuzz/run.sh BUILD SECONDS [NAME]: runs each fuzz target of the configured build (or the one
# named) for so long, from a copy of its seeds, as many at a time as there are processors. A crash,
# a leak or a hang fails; what caused it is kept under BUILD/fuzz-artifacts.
set -euo pipefail

BUILD=$(realpath "$1")
readonly BUILD SECONDS_EACH=$2 ONLY=${3:-}
readonly ARTIFACTS="$BUILD/fuzz-artifacts"
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT
mkdir -p "$ARTIFACTS"

# "PROGRAM SEEDS FLAGS…", a line of the list.
run_one() {
    local program seeds flags
    read -r program seeds flags <<<"$1"
    local name=${program##*/}
    local corpus="$SCRATCH/$name" log="$ARTIFACTS/$name.log"
    mkdir -p "$corpus"
    cp -r "$seeds/." "$corpus"
    # shellcheck disable=SC2086 # flags are words
    if "$program" -max_total_time="$SECONDS_EACH" -timeout=60 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$ARTIFACTS/$name-" $flags "$corpus" >"$log" 2>&1; then
        printf '%s: %s runs, %s inputs that differ\n' "$name" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
            "$(find "$corpus" -type f | wc -l)"
    else
        tail -n 60 "$log" >&2
        printf '%s failed; its whole log: %s\n' "$name" "$log" >&2
        return 1
    fi
}

export -f run_one
export SCRATCH ARTIFACTS SECONDS_EACH
chosen=$(grep -E "/fuzz_${ONLY:-[^ ]*} " "$BUILD/fuzzers.list") || {
    printf 'no fuzz target is named "%s"\n' "$ONLY" >&2
    exit 1
}
# shellcheck disable=SC2016 # the inner shell's to expand
xargs -d '\n' -P "$(nproc)" -I LINE bash -c 'run_one "$1"' _ LINE <<<"$chosen"
