#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# attrbench worker as another program sees it: lines in, lines out, exit codes.
set -uo pipefail
command=${AB_COMMAND:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

fail() { echo "test_worker_cli: $*" >&2; cat out err >&2; exit 1; }
# talk CODE: the lines on standard input to a worker, its answers in out.
talk() {
    local want=$1
    "$command" worker >out 2>err
    local got=$?
    [[ $got == "$want" ]] || fail "exit code $got instead of $want"
}
# line N REGEX
line() { sed -n "$1p" out | grep -Eq "$2" || fail "line $1 is not $2"; }

talk 0 </dev/null
line 1 '^attrbench worker 1$'
[[ $(wc -l <out) == 1 ]] || fail "more than a greeting"

talk 0 <<'EOF'
context
nonsense
open
open warm kernel dense_plain dense n1i8o8
slice 1
open hot kernel dense_plain dense n1i8o8
slice 0
slice 10x
slice -1
slice 99999999999
slice 100
open cold kernel dense_plain dense n1i8o8
slice 1
judge
open hot kernel no_such dense n1i8o8
slice 1
judge
EOF
line 2 '^ok \{.*"cpu".*\}$'
line 3 "^error arg .*nonsense.*context, open, slice, judge, quit"
line 4 "^error arg "
line 5 "^error arg open: write 'open hot CASE' or 'open cold CASE'"
line 6 '^error internal slice: no case is open'
line 7 '^ok \[\{.*"cache":"hot".*"key":"kernel dense_plain dense n1i8o8 .*"pinned":"(core [0-9]+|not pinned)"'
for n in 8 9 10 11; do line $n '^error arg slice '; done
line 12 '^ok [0-9.e+]+ [01]$'
line 13 '"cache":"cold"'
line 14 '^ok [0-9.e+]+ [01]$'
line 15 '^ok \{.*"rel_l2":0.0,.*"verdict":"agree"'
line 16 "^error unsupported .*no_such.*is not in this build"
line 17 '^error internal slice: no case is open'
line 18 '^error internal judge: no case is open'

# What comes after quit is not read; a line without end is one request, and so is one too long.
talk 0 <<<$'quit\ncontext'
[[ $(wc -l <out) == 1 ]] || fail "it went on after quit"
printf 'context' | talk 0
line 2 '^ok '
{ head -c 100000 /dev/zero | tr '\0' x; printf '\nslice 1\n'; } | talk 0
line 2 '^error arg '
line 3 '^error internal '
printf 'con\0text\nslice 1\n' | talk 0
line 2 '^error arg '

# An interrupt from the terminal is not for it.
(trap '' INT; printf 'slice 1\n'; sleep 0.3; printf 'slice 1\n') | { "$command" worker >out 2>err & pid=$!
    sleep 0.15; kill -INT $pid; wait $pid; } || fail "an interrupt ended it"
[[ $(wc -l <out) == 3 ]] || fail "an interrupt stopped its answers"

ATTRBENCH_TEST_SLOW='dense*' talk 2 </dev/null
grep -q "^attrbench: ATTRBENCH_TEST_SLOW: 'dense\*' will not do" err || fail "a bad share"
[[ ! -s out ]] || fail "it greeted all the same"
ATTRBENCH_TEST_SLOW='dense*=0.5' talk 0 <<<context
line 2 '"test_slow":"dense\*=0.5"'

ATTRBENCH_TEST_WRONG='x=0' talk 2 </dev/null
grep -q "^attrbench: ATTRBENCH_TEST_WRONG: 'x=0' will not do" err || fail "a bad share of error"
ATTRBENCH_TEST_WRONG='dense*=0.5' talk 0 <<<$'context\nopen hot kernel dense_plain dense n1i8o8\njudge'
line 2 '"test_wrong":"dense\*=0.5"'
line 4 '"verdict":"disagree","verdict_reason":"bits: .*want exactly'

"$command" worker --help >out 2>err || fail "no help"
for name in SLOW WRONG; do
    grep -q ATTRBENCH_TEST_$name out || fail "the help does not name ATTRBENCH_TEST_$name"
done
"$command" worker --frobnicate >out 2>err
[[ $? == 2 ]] || fail "an unknown option"
if [[ -w /dev/full ]]; then
    "$command" worker <<<context >/dev/full 2>err
    [[ $? == 1 ]] || fail "a full disk"
fi
exit 0
