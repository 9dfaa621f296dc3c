#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Plugins as users of `attrbench verify` meet them: the right one passes, each wrong kernel fails by
# the check that fits its mistake and by the line that reproduces it, and what is no plugin is
# refused in one line. AB_COMMAND: the binary; AB_BUILD_DIR: where the plugins are.
set -uo pipefail
attrbench=${AB_COMMAND:?}
build=${AB_BUILD_DIR:?}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
export XDG_CACHE_HOME=$tmp/cache
failures=0

fail() { echo "FAILED: $*"; sed 's/^/    | /' err out 2>/dev/null | head -40; failures=$((failures + 1)); }

# code EXPECTED ARGS...: runs verify, stdout and stderr in out and err.
code() {
    local expected=$1 got
    shift
    timeout 200 "$attrbench" verify "$@" >out 2>err
    got=$?
    [[ $got == "$expected" ]] || fail "exit code $got, not $expected: attrbench verify $*"
}
# refused PATH WORD...: one line names the path and has the words.
refused() {
    local path=$1 word
    shift
    code 1 --plugin "$path"
    [[ $(wc -l <err) == 1 ]] || fail "not one line on stderr"
    for word in "plugin $path: " "$@"; do
        grep -qF -- "$word" err || fail "stderr does not say '$word'"
    done
}
# found CANDIDATE CHECKS: a failure by one of the checks, and its line reproduces it.
found() {
    local line
    grep -Eq "^FAIL $1 .*: ($2)( |:)" out || fail "$1 did not fail by $2"
    line=$(grep -A2 "^FAIL $1 " out | sed -n "s/^ *attrbench verify \(.*--repro .*\)/\1/p" | head -1)
    [[ -n $line ]] || { fail "no line reproduces the failure of $1" && return; }
    eval "code 6 $line"
    grep -Eq "^result +fail: ($2):" out || fail "$1: the line reproduces something else"
}

onednn=$build/examples/verify_onednn.so wrong=$build/examples/verify_wrong.so
if [[ -e $onednn ]]; then
    code 0 --plugin "$onednn" --op 'verify_onednn:*'
    grep -Eq '^verify_onednn:conv2d +plugin +[0-9]+ +[1-9][0-9]* .* pass$' out ||
        fail "oneDNN's convolution did not pass"
fi
code 6 --plugin "$wrong" --op 'verify_wrong:*'
cp out all
found verify_wrong:tail 'bits|bound'
cp all out
found verify_wrong:over-read crash
cp all out
found verify_wrong:stale 'unwritten|bits|bound|special'

refused no/such.so "No such file"
refused "$tmp" "not a regular file"
refused "$build/tests/plugin_empty.so" "exports no ab_verify_plugin"
AB_BAD_PLUGIN=crash refused "$build/tests/plugin_bad.so" "crashes while it is loaded"
AB_BAD_PLUGIN=twice refused "$build/tests/plugin_bad.so" 'both called "first"'
code 2 --plugin "$wrong" --plugin "$wrong"
grep -qF "load it once, or rename the file" err || fail "a plugin was loaded twice"

[[ $failures == 0 ]] && echo "all passed"
exit $((failures > 0))
