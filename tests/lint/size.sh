#!/usr/bin/env bash
# No source file over 600 lines (functions: clang-tidy's readability-function-size).
source "$(dirname "$0")/lib.bash"
files '*.c' '*.h' | while read -r file; do
    lines=$(wc -l <"$file")
    ((lines <= 600)) || printf '%s has %d lines\n' "$file" "$lines"
done | report "a file over 600 lines: split it"
finish
