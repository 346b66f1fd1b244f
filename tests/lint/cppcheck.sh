#!/usr/bin/env bash
# cppcheck over what the build compiles; its own cache skips the files that did not change.
source "$(dirname "$0")/lib.bash"
readonly KEPT="$CACHE/cppcheck"
mkdir -p "$KEPT"
# What it prints decides: its exit status forgets what comes from the cache.
# llhttp's sources are Debian's, and generated. ctunullpointer takes a pointer for null that a
# function fills in (`new(&x)`), which it does not follow.
cppcheck --quiet -j "$(nproc)" --enable=warning,performance,portability --inline-suppr --std=c11 \
    --cppcheck-build-dir="$KEPT" -i /usr/share/llhttp --suppress=ctunullpointer \
    --project="$BUILD/compile_commands.json" 2>&1 | report "cppcheck"
finish
