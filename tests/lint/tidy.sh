#!/usr/bin/env bash
# clang-tidy with the checks of .clang-tidy, a file at a time, in parallel. A file that was clean
# before is skipped: its key is made of what can change the verdict (its text, that of our headers
# that it includes, the checks, the build's options, the versions of the tools and libraries).
source "$(dirname "$0")/lib.bash"

readonly CLEAN="$CACHE/tidy"

common_key() {
    clang-tidy --version
    dpkg-query -W -f '${Package} ${Version}\n' libc6-dev libuv1-dev libcjson-dev libpq-dev \
        node-llhttp libcmocka-dev 2>/dev/null || true
    files .clang-tidy CMakeLists.txt cmake/flags.cmake CMakePresets.json tests/lint/tidy.sh |
        xargs cat
}

key_of() {
    {
        printf '%s\n' "$COMMON_KEY" "$1"
        # -MG: a generated or missing header is named, not an error.
        cc -MM -MG -I. -Iapps -Itests "$1" | grep -oE '[^ ]+\.[ch]\b' | while read -r name; do
            printf '%s\n' "$name"
            [ ! -f "$name" ] || cat "$name"
        done
    } | sha256sum | cut -d ' ' -f 1
}

check() {
    local key
    key=$(key_of "$1")
    if [ -e "$CLEAN/$key" ]; then
        touch "$CLEAN/$key"
        return 0
    fi
    local text
    if text=$(clang-tidy --quiet -p "$BUILD" "$1" 2>/dev/null); then
        touch "$CLEAN/$key"
    else
        printf '%s\n' "$text" >&2
        return 1
    fi
}

mkdir -p "$CLEAN"
find "$CLEAN" -type f -mtime +30 -delete
COMMON_KEY=$(common_key | sha256sum)
export COMMON_KEY CLEAN BUILD
export -f key_of check
# What a target compiles.
files '*.c' | while read -r file; do
    ! grep -qF "/$file\"" "$BUILD/compile_commands.json" || printf '%s\n' "$file"
done | xargs -P "$(nproc)" -I FILE bash -c 'check FILE'
