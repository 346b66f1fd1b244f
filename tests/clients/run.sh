#!/usr/bin/env bash
# run.sh SCRIPT ARGUMENTS: runs a Python script with the pinned clients.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TODO_CLIENTS=$(bash "$here/../lib/pinned.sh" "$here")
export TODO_CLIENTS
exec "$TODO_CLIENTS/venv/bin/python" "$@"
