#!/usr/bin/env bash
# tests/fuzz/run.sh BUILD SECONDS [--keep] [NAME]: runs each fuzz target of the configured build (or
# the one named) for so long, from a copy of its corpus, FUZZ_JOBS at a time (as many as there are
# processors). A crash, a leak or a hang fails; what caused it is kept under BUILD/fuzz-artifacts.
# With --keep, an input that reaches code that none of the corpus reaches is added to it.
set -euo pipefail

[ -f "$1/fuzzers.list" ] || {
    printf '%s has no fuzz targets: ./todo fuzz builds them\n' "$1" >&2
    exit 1
}
BUILD=$(realpath "$1")
readonly BUILD SECONDS_EACH=$2
shift 2
keep=
if [ "${1:-}" = --keep ]; then
    keep=yes
    shift
fi
readonly KEEP=$keep ONLY=${1:-}
readonly ARTIFACTS="$BUILD/fuzz-artifacts" INPUT_BYTES_MAX=4096
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT
mkdir -p "$ARTIFACTS"

# final LOG NAME: one of the numbers at the end.
final() {
    sed -n "s/^stat::$2: *//p" "$1"
}

# reached LOG: what the corpus reaches, in edges and in features (edges and how often).
reached() {
    sed -nE 's/.*DONE +cov: ([0-9]+) ft: ([0-9]+) .*/\1 edges, \2 features/p' "$1" | head -n 1
}

# By edges alone: inputs that differ in how often they reach one would be thousands.
keep_grown() {
    local program=$1 seeds=$2 grown=$3 log=$4
    "$program" -merge=1 -use_counters=0 -max_len="$INPUT_BYTES_MAX" -timeout=60 \
        "$seeds" "$grown" >>"$log" 2>&1
}

# "PROGRAM CORPUS FLAGS…", a line of the list.
run_one() {
    local program seeds flags
    read -r program seeds flags <<<"$1"
    local name=${program##*/}
    local corpus="$SCRATCH/$name" log="$ARTIFACTS/$name.log"
    mkdir -p "$corpus"
    cp -r "$seeds/." "$corpus"
    local TIMEFORMAT='%U %S' status=0 cpu
    # shellcheck disable=SC2086 # flags are words
    cpu=$({ time "$program" -max_total_time="$SECONDS_EACH" -timeout=60 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$ARTIFACTS/$name-" $flags "$corpus" \
        >"$log" 2>&1; } 2>&1) || status=1
    if [ "$status" = 0 ] && [ "$KEEP" ]; then
        keep_grown "$program" "$seeds" "$corpus" "$log" || status=1
    fi
    if [ "$status" != 0 ]; then
        tail -n 60 "$log" >&2
        printf '%s failed; its whole log: %s\n' "$name" "$log" >&2
        return 1
    fi
    printf '%s: %s runs in %.0f CPU seconds; %s; a corpus of %s\n' "$name" \
        "$(final "$log" number_of_executed_units)" "$(awk '{print $1 + $2}' <<<"$cpu")" \
        "$(reached "$log")" "$(find "$seeds" -type f | wc -l)"
}

export -f run_one final reached keep_grown
export SCRATCH ARTIFACTS SECONDS_EACH KEEP INPUT_BYTES_MAX
chosen=$(grep -E "/fuzz_${ONLY:-[^ ]*} " "$BUILD/fuzzers.list") || {
    printf 'no fuzz target is named "%s"\n' "$ONLY" >&2
    exit 1
}
# shellcheck disable=SC2016 # the inner shell's to expand
xargs -d '\n' -P "${FUZZ_JOBS:-$(nproc)}" -I LINE bash -c 'run_one "$1"' _ LINE <<<"$chosen"
