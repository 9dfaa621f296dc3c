#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Licence lines, lengths, and no path of anybody's machine. Run in the source tree, a git checkout.
set -euo pipefail
fail=0
complain() { echo "check_text: $*" >&2; fail=1; }

if ! git rev-parse --git-dir >/dev/null 2>&1; then
    echo "skipped: not a git checkout, so there is no list of the project's files"
    exit 77
fi
mapfile -t files < <(git ls-files --cached --others --exclude-standard | sort -u | while read -r f; do
    [[ -f $f ]] && echo "$f"; done)

for file in "${files[@]}"; do
    case $file in
    *.c | *.h | *.cc | *.def | *.py | *.sh | *.cmake | *.in | *.map | CMakeLists.txt | \
        */CMakeLists.txt | Makefile | .ci/run)
        head -3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
            complain "$file: no SPDX line at the top"
        ;;
    esac
done

# Functions end where a brace stands in the first column; clang-format sees to that.
for file in "${files[@]}"; do
    case $file in
    *.c | *.h | *.cc)
        awk -v file="$file" '
            /^\{/ { start = NR }
            /^\}/ && start && NR - start > 121 {
                printf "%s:%d: a function of %d lines: 120 at most\n", file, start, NR - start - 1
            }
            /^\}/ { start = 0 }
            END { if (NR > 600) printf "%s: %d lines: 600 at most\n", file, NR }' "$file"
        ;;
    esac
done >"${TMPDIR:-/tmp}/check_text.$$"
if [[ -s ${TMPDIR:-/tmp}/check_text.$$ ]]; then
    complain "$(cat "${TMPDIR:-/tmp}/check_text.$$")"
fi
rm -f "${TMPDIR:-/tmp}/check_text.$$"

for file in "${files[@]}"; do
    case $file in
    *.npy | *.png | *.jpg | *.onnx | tests/fuzz/corpus/*/* | tests/check_text.sh) continue ;;
    esac
    grep -HnE '(^|[^[:alnum:]_.])/(home|root|work|Users)/[A-Za-z]' "$file" /dev/null &&
        complain "$file names a path of somebody's machine"
done

exit $fail
