#!/usr/bin/env bash
# run.sh SCRIPT ARGUMENTS: runs a Python script with the pinned clients.
set -euo pipefail
TODO_CLIENTS=$(bash "$(dirname "${BASH_SOURCE[0]}")/setup.sh")
export TODO_CLIENTS
exec "$TODO_CLIENTS/venv/bin/python" "$@"
