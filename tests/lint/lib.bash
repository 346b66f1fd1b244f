# What the lint scripts share; sourced. Each takes the folder of a configured build as its argument.
set -eu # no pipefail: a grep that finds nothing is good news here
shopt -s lastpipe # `… | report` sets our `failed`
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck disable=SC2034 # for the scripts that source this
readonly BUILD=${1:-build/debug}
# shellcheck disable=SC2034
readonly CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/todo-app"
failed=0

# The tree's own files that match the globs ('*.c'): tracked, or new and not ignored.
files() {
    local file
    {
        git -c safe.directory='*' ls-files -co --exclude-standard -- "$@" 2>/dev/null ||
            all_files "$@"
    } | sort | while read -r file; do
        [ ! -f "$file" ] || printf '%s\n' "$file"
    done
}

# The same where the tree came without its .git.
all_files() {
    local glob match=()
    for glob in "$@"; do
        match+=(-o -path "./$glob" -o -path "./*/$glob")
    done
    find . -path ./build -prune -o -type f \( "${match[@]:1}" \) -print | sed 's|^\./||'
}

# Prints what comes in, one finding a line, under a heading; findings make `finish` fail.
report() {
    local found
    found=$(cat)
    [ -n "$found" ] || return 0
    printf '%s:\n%s\n' "$1" "  ${found//$'\n'/$'\n'  }" >&2
    failed=1
}

finish() { exit "$failed"; }
