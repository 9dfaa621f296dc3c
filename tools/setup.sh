#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages of the named groups of cmake/packages.txt that are not there yet.
# Usage: tools/setup.sh GROUP...
set -eu

list=$(dirname "$0")/../cmake/packages.txt

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "setup: no apt here; these must be installed some other way (see cmake/packages.txt)" >&2
    exit 0
fi

installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=
for group in "$@"; do
    for package in $(awk -v g="$group" '$1 == g { print $2 }' "$list"); do
        installed "$package" || missing="$missing $package"
    done
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    echo "setup: packages are missing, and this is neither root nor is there sudo." >&2
    echo "setup: ask an administrator for: apt-get install$missing" >&2
    exit 1
fi

echo "setup: installing$missing"
# shellcheck disable=SC2086  # the lists are words
$as_root apt-get update -q
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
