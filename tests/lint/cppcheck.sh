#!/usr/bin/env bash
# cppcheck over what the build compiles; its own cache skips the files that did not change.
source "$(dirname "$0")/lib.bash"
readonly KEPT="$CACHE/cppcheck"
mkdir -p "$KEPT"
# llhttp's sources are Debian's, and generated: not ours to check.
cppcheck --quiet -j "$(nproc)" --enable=warning,performance,portability --error-exitcode=1 \
    --inline-suppr --std=c11 --cppcheck-build-dir="$KEPT" -i /usr/share/llhttp \
    --project="$BUILD/compile_commands.json"
