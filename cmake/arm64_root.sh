#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Unpacks the AArch64 libraries of cmake/packages.txt into DIR, for the arm64 build. The system's own
# package database is not touched: apt gets lists of its own, packages are unpacked, not installed.
# Usage: cmake/arm64_root.sh DIR
set -euo pipefail
list=$(cd "$(dirname "$0")" && pwd)/packages.txt
root=$1
[[ -e $root/complete ]] && exit 0

mkdir -p "$root/apt/lists/partial" "$root/apt/archives/partial" "$root/debs"
root=$(cd "$root" && pwd)
apt=(apt-get -q -o APT::Architectures::=amd64 -o APT::Architectures::=arm64
    -o Dir::State::Lists="$root/apt/lists" -o Dir::Cache="$root/apt"
    -o APT::Sandbox::User= -o Acquire::Languages=none)
"${apt[@]}" update
mapfile -t packages < <(awk '$1 == "arm64" { print $2 ":arm64" }' "$list")
(cd "$root/debs" && "${apt[@]}" download "${packages[@]}")
for deb in "$root"/debs/*.deb; do
    dpkg -x "$deb" "$root"
done
rm -rf "$root/apt" "$root/debs"
touch "$root/complete"
