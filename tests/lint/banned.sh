#!/usr/bin/env bash
# What our code does without: calls that are unsafe or go round base/mem, variables that every
# function can change, notes to oneself, and text that does not belong into a file.
source "$(dirname "$0")/lib.bash"

# Variables of static storage that may change: FILE:NAME, and why.
readonly CHANGEABLE='
base/mem.c:fail_countdown    allocation has no context to carry the injected fault in
base/mem.c:fail_happened     the same
tests/fuzz/apps/fuzz_settings.c:made   libFuzzer passes nothing from its start to its runs
tests/support/fail_nth.c:orders   what is preloaded has nobody to pass it anything
tests/fuzz/tools/fuzz_args.c:made   libFuzzer passes nothing from its start to its runs'

# Prints each line of the sources' code that calls one of the functions.
calls_of() {
    grep -E "[^A-Za-z0-9_>.\"]($1)[[:space:]]*\(" <<<"$code" || true
}

unlisted_variables() {
    sources | xargs python3 tests/lint/code.py variables | while IFS=: read -r file name line; do
        grep -qE "^$file:$name " <<<"$CHANGEABLE" || printf '%s:%s: %s\n' "$file" "$line" "$name"
    done
}

sources() { files '*.c' '*.h'; }
texts() {
    files '*.c' '*.h' '*.sh' '*.bash' '*.py' '*.sql' '*.cmake' '*CMakeLists.txt' '*.md' '*.yaml' \
        '*.yml' '*.json' todo .ci/run .clang-tidy .clang-format
}

code=$(sources | xargs python3 tests/lint/code.py code)
calls_of 'strcpy|stpcpy|strcat|strncpy|strncat|sprintf|vsprintf|atoi|atol|atoll|atof|strtok|gets' |
    report "a banned call: it knows no bound or reports no error"
calls_of 'malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf' |
    grep -vE '^(base/mem|tests/support/fail_nth)\.c:' | report "the heap has one door: base/mem"
unlisted_variables | report "a variable that every function can change (exceptions: banned.sh)"
# In two parts, so that the words do not find themselves.
texts | xargs grep -nwE 'TO''DO|FIX''ME|XX''X|HA''CK' | report "a note to oneself"
texts | xargs grep -nP '\t' | report "a tab"
texts | xargs grep -nE '[[:space:]]+$' | report "blanks at the end of a line"
texts | xargs grep -nE '/(work''|home''|Users''|root'')/' | report "a path of somebody's machine"
finish
