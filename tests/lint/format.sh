#!/usr/bin/env bash
# clang-format decides how the code is laid out. To mend: git ls-files '*.[ch]' | xargs clang-format -i
source "$(dirname "$0")/lib.bash"
files '*.c' '*.h' | xargs clang-format --dry-run -Werror
