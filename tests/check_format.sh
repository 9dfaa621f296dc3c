#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C and C++ file is as clang-format 14 (Debian 12's) leaves it. `make format` mends.
set -euo pipefail
cd "$(dirname "$0")/.."
git ls-files --cached --others --exclude-standard '*.c' '*.h' '*.cc' | while read -r f; do
    [[ -f $f ]] && echo "$f"; done | xargs clang-format --dry-run -Werror
