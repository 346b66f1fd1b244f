#!/usr/bin/env bash
# run.sh SCRIPT ARGUMENTS: runs a Python script with the pinned python-dateutil.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pinned=$(bash "$here/../lib/pinned.sh" "$here")
exec "$pinned/venv/bin/python" "$@"
