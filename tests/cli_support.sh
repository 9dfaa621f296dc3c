# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of commands share: an empty folder to work in, which is gone afterwards, and words
# for what a command must do. AB_COMMAND: the binary.
set -uo pipefail
attrbench=${AB_COMMAND:?}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
export XDG_CACHE_HOME=$tmp/cache
unset ATTRBENCH_DB ATTRBENCH_DB_WAIT
failures=0

fail() { echo "FAILED: $*"; sed 's/^/    | /' err out 2>/dev/null | head -40; failures=$((failures + 1)); }

# code EXPECTED ARGS...: runs the command, stdout and stderr in out and err.
code() {
    local expected=$1 got
    shift
    timeout 250 "$attrbench" "$@" >out 2>err
    got=$?
    [[ $got == "$expected" ]] || fail "exit code $got, not $expected: attrbench $*"
}
# says WORD: the one line on stderr contains it.
says() {
    [[ $(wc -l <err) == 1 ]] || fail "not one line on stderr"
    grep -qF -- "$1" err || fail "stderr does not say '$1'"
}
# prints WORD: some line on stdout contains it.
prints() { grep -qF -- "$1" out || fail "stdout does not say '$1'"; }
