#!/bin/sh
# Renew requirements.lock and requirements-dev.lock, with hashes and without any index's address.
set -eu
uv=$(command -v uv) || { echo "uv is missing [lock.uv]: install it with 'pip install uv'" >&2; exit 1; }
compile="$uv pip compile -q --generate-hashes --no-emit-index-url --no-header --python-version 3.11"
$compile pyproject.toml -o requirements.lock
$compile --extra dev pyproject.toml -o requirements-dev.lock
