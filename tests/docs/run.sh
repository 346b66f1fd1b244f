#!/usr/bin/env bash
# run.sh SCRIPT ARGUMENTS: runs a Python script with what this folder pins.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TODO_PINNED=$(bash "$here/../lib/pinned.sh" "$here")
export TODO_PINNED
exec "$TODO_PINNED/venv/bin/python" "$@"
