#!/usr/bin/env bash
# Who may include whom (docs/design.md): the build refuses most of it, this names the rest.
source "$(dirname "$0")/lib.bash"

# folder: what it may include besides itself. apps and tests may include everything.
readonly MAY='
base:
mcp: base
db: base
dapr: base
events: base db dapr
tools: base mcp db events/types'

# Libraries that one folder alone may see (tests talk to the real thing as they need).
readonly ONLY='
libpq-fe.h db
pq-fe db
llhttp.h base
curl/ base
librdkafka/ events'

# "FILE HEADER" for each include in quotes, "FILE <HEADER" for each in brackets.
list_includes() {
    files '*.c' '*.h' | xargs grep -HoE '^ *# *include *["<][^">]+' |
        sed -E 's/^([^:]+): *# *include *(["<])([^">]+)/\1 \2\3/; s/ "/ /'
}

wrong_direction() {
    awk -v may="$MAY" '
        BEGIN {
            count = split(may, lines, "\n")
            for (i = 1; i <= count; i++) {
                folder = lines[i]
                sub(/:.*/, "", folder)
                sub(/^[^:]*:/, "", lines[i])
                allowed[folder] = lines[i] " " folder " "
            }
        }
        $2 ~ /^</ || $1 ~ /^(apps|tests)\// { next }
        {
            from = $1
            sub(/\/.*/, "", from)
            to = $2
            sub(/\/.*/, "", to)
            noun = $2
            sub(/(_int)?\.h$/, "", noun)
            if (index(allowed[from], " " to " ") == 0 && index(allowed[from], " " noun " ") == 0)
                print $1 " includes " $2
        }'
}

internal_from_outside() {
    awk '$2 ~ /_int\.h$/ && $1 !~ /^tests\// {
        from = $1
        to = $2
        sub(/^shared\//, "apps/shared/", to)
        sub(/\/[^\/]*$/, "", from)
        if (to ~ /\// && (sub(/\/[^\/]*$/, "", to) == 0 || from != to))
            print $1 " includes " $2
    }'
}

foreign_library() {
    awk -v only="$ONLY" '
        BEGIN {
            count = split(only, lines, "\n")
            for (i = 1; i <= count; i++)
                if (split(lines[i], pair, " ") == 2)
                    owner[pair[1]] = pair[2]
        }
        $2 ~ /^</ && $1 !~ /^tests\// {
            for (prefix in owner)
                if (index($2, "<" prefix) == 1 && index($1, owner[prefix] "/") != 1)
                    print $1 " includes " substr($2, 2) ", which only " owner[prefix] " may"
        }'
}

# Header -> header, as paths; tsort complains of a loop and names its members.
cycles() {
    awk '$2 !~ /^</ && $1 ~ /\.h$/ {
        to = $2
        if (to ~ /^support\//)
            to = "tests/" to
        else if (to ~ /^shared\//)
            to = "apps/" to
        else if (to !~ /\//) {
            dir = $1
            sub(/[^\/]*$/, "", dir)
            to = dir to
        }
        print $1, to
    }' | { tsort 2>&1 >/dev/null || true; } | sed -n 's/^tsort: \(.*\.h\)$/\1/p'
}

compile_header() {
    printf '#include "%s"\n' "$1" |
        cc -x c -std=c11 -D_GNU_SOURCE -Wall -Wextra -fsyntax-only -I. -Itests "${INCLUDES_OF_MODULES[@]}" \
            -I/usr/share/include/llhttp "${CFLAGS_OF_LIBRARIES[@]}" - >/dev/null 2>&1 ||
        printf '%s\n' "$1"
}

alone() {
    local header
    files '*.h' | while read -r header; do
        grep -qE '^#pragma once$' "$header" || printf '%s has no #pragma once\n' "$header"
        compile_header "$header"
    done
}

INCLUDES_OF_MODULES=("$BUILD"/include/*/)
INCLUDES_OF_MODULES=("${INCLUDES_OF_MODULES[@]/#/-I}")
read -ra CFLAGS_OF_LIBRARIES < <(pkg-config --cflags libuv libcjson libpq cmocka)
includes=$(list_includes)
wrong_direction <<<"$includes" | report "an include against the direction of the design"
internal_from_outside <<<"$includes" | report "an _int.h header is for its own folder"
foreign_library <<<"$includes" | report "a library that another folder owns"
grep -E '\.c$' <<<"$includes" | report "a .c file is not to be included"
cycles <<<"$includes" | report "headers that include each other"
alone | report "a header that does not compile alone"
finish
