#!/bin/sh
# Create the virtual environment from the hashed lock file: deploy/python.sh PYTHON VENV
set -eu
python=$1 venv=$2

refuse() {
    echo "the Python environment cannot be made [python.missing]" >&2
    echo "  value:    $1" >&2
    echo "  expected: Python 3.11 or later with the venv module" >&2
    echo "  do:       install python3 and python3-venv, or name another with PYTHON=..." >&2
    exit 1
}

command -v "$python" >/dev/null || refuse "$python is not on the PATH"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || refuse "$("$python" --version 2>&1)"

echo "python: making $venv from requirements-dev.lock (about a minute)" >&2
if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        timeout 300 apt-get update -q >/dev/null
        timeout 300 apt-get install -q -y --no-install-recommends python3-venv >/dev/null
        "$python" -m venv "$venv"
    else
        refuse "python -m venv failed"
    fi
fi
timeout 900 "$venv/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.lock
timeout 300 "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-build-isolation --no-deps -e .
