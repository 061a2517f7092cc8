#!/bin/sh
# Make sure of the tools that only the tests need: Chromium for the pages, Node.js for sigstore-js,
# AppArmor's parser for the profiles.
set -eu
missing=
command -v chromium >/dev/null || missing="$missing chromium"
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
command -v apparmor_parser >/dev/null || [ -x /sbin/apparmor_parser ] || missing="$missing apparmor"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "the tests need tools that are missing [tools.missing]" >&2
    echo "  value:    $missing" >&2
    echo "  do:       install them with your package manager, then run this again" >&2
    exit 1
fi
echo "tools: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
timeout 300 apt-get update -q >/dev/null
# shellcheck disable=SC2086
timeout 900 apt-get install -q -y --no-install-recommends $missing >/dev/null
