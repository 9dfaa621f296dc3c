#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Experiments that look inside networks, from the command line: complete, with verdicts and plots, and
# the same for any number of threads.
set -euo pipefail
command=$AB_COMMAND
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "FAIL: $*" >&2; exit 1; }

experiments=csc,information,sufficiency,flipping
for threads in 1 2; do
    "$command" theory --tier digits --images 3 --experiment $experiments --seed 3 \
        --threads $threads --out t$threads > t$threads.txt 2> /dev/null ||
        fail "--threads $threads ends with $?"
done
for name in ${experiments//,/ }; do
    grep -q "^== $name:" t1.txt || fail "no section of $name"
    ls t1/"$name"-*.svg > /dev/null || fail "no plot of $name"
done
[[ $(grep -c '^verdict: ' t1.txt) -ge 9 ]] || fail "too few verdicts"
grep -q '3 decided rightly, 18 wrongly' t1.txt || fail "wrong decisions are not looked at"
grep -q 'turns 3 of 3 decisions' t1.txt || fail "the backdoor does not decide"
grep -v '^results:\|^plots:' t1.txt > one.txt
grep -v '^results:\|^plots:' t2.txt > two.txt
cmp -s one.txt two.txt || fail "results depend on the number of threads: $(diff one.txt two.txt | head -5)"
for plot in t1/*.svg; do
    cmp -s "$plot" "t2/${plot#t1/}" || fail "$plot depends on the number of threads"
done

# Another network, which branches.
"$command" theory --model resnet18 --images 1 --experiment csc --method gradient,lrp-zplus \
    --out other > other.txt 2> /dev/null || fail "another network: $?"
grep -q '^verdict: ' other.txt || fail "no verdict for another network"
echo "ok"
