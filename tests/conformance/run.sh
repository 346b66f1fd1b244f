#!/usr/bin/env bash
# run.sh [SCENARIO ...]: run.py with the pinned suite.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TODO_CONFORMANCE=$(bash "$here/../lib/pinned.sh" "$here")
export TODO_CONFORMANCE
exec python3 "$here/run.py" "$@"
