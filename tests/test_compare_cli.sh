#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# compare and gate as users meet them: files, saved runs, builds by turns, bad input, exit codes.
. "$(dirname "${BASH_SOURCE[0]}")/cli_support.sh"
export ATTRBENCH_DB=$tmp/attrbench.db

# results CPU FIRST SECOND [ERROR]: a run of two kernels, which take so many ns.
results() {
    awk -v cpu="$1" -v first="$2" -v second="$3" -v error="${4:-1e-7}" '
    function row(name, ns) {
        printf "{\"kind\":\"kernel\",\"op\":\"conv2d_fwd\",\"shape\":\"%s\",\"backend\":\"native\",", name
        printf "\"kernels\":[\"k\"],\"rel_l2\":%s,\"verdict\":\"agree\",\"samples_ns\":[", error
        for (i = 0; i < 300; i++) printf "%s%.1f", i ? "," : "", ns * (1 + (i * 37 % 101) / 20000)
        printf "]}"
    }
    BEGIN {
        printf "{\"context\": {\"schema\": 1, \"date\": \"2026-01-01T00:00:00Z\", \"cpu\": {\"model\": \"%s\"}, ", cpu
        printf "\"build\": {\"git_revision\": \"abc\"}, \"system\": {}},\n\"results\": [\n"
        row("first", first); printf ",\n"; row("second", second); printf "\n]}\n"
    }'
}

results one 10000 20000 >a.json
results one 10010 20020 >same.json
results one 10000 25000 >slow.json
results one 10000 20000 1e-3 >wrong.json
results two 10000 20000 >other.json
sed 's/"first"/"third"/; s/"second"/"fourth"/' a.json >renamed.json

# ---- files ----
code 0 compare a.json same.json
grep -q '2 rows: 0 regressions, 0 improvements, 2 same' out || fail "identical runs"
code 3 compare a.json slow.json
[[ $(grep -c '^regression' out) == 1 ]] && grep '^regression' out | grep -q second ||
    fail "not exactly the slower row"
code 0 compare slow.json a.json
grep -q '^improvement' out || fail "no improvement"
code 0 compare a.json slow.json --max-slowdown 30%
code 3 compare a.json wrong.json
grep -q 'its error grew from 1e-07 to 0.001' out || fail "errors that grew"
code 0 compare a.json slow.json --only '*first*'
code 5 compare a.json other.json
says 'cpu.model: one, two'
code 0 compare a.json other.json --cross
code 5 compare a.json renamed.json
says 'no row is in both'
code 3 compare a.json slow.json --json
[[ -z $(command -v python3) ]] || python3 -c 'import json; d = json.load(open("out")); assert d["exit_code"] == 3 and d["rows"][0]["change"] == "regression"' ||
    fail "JSON"
mkdir o && cp slow.json o/results.json
code 3 compare a.json o

# Exit code 4, as the help has it: more than a fifth, or a slower one.
for command in compare gate; do
    code 0 $command --help
    tr '\n' ' ' <out | grep -q '4 more than a fifth of the rows inconclusive, or a slower one undecided' &&
        grep -q '130 interrupted' out || fail "exit codes in the help of $command"
done

# ---- saved runs ----
code 0 import a.json --name then
code 0 import slow.json --name now
code 3 compare then now
code 3 compare then slow.json
code 2 compare then never
says never

# ---- bad input ----
sed '0,/10000.0/s//NaN/' a.json >nan.json
code 1 compare a.json nan.json
says nan.json
head -c 900 a.json >cut.json
code 1 compare cut.json a.json
says cut.json
sed '0,/10000.0/s//-10000.0/' a.json >back.json
code 1 compare a.json back.json
says back.json
code 2 compare a.json absent.json
says 'absent.json: No such file'
code 2 compare a.json
says 'name two'
code 2 compare a.json same.json --max-slowdown fast
says '--max-slowdown fast'
code 2 compare a.json same.json --least-ns -3
says '--least-ns'
code 2 compare a.json same.json --kernels 'x*'
says '--kernels: says what to measure'
code 2 compare a.json same.json --against "$attrbench"
says 'leave one away'
ATTRBENCH_DB=absent.db code 2 compare x y
says "'x': no such file or run: there is no store absent.db"
code 2 compare a.json same.json --no-agree
says '--no-agree: says what to measure'

# ---- gate ----
code 3 gate a.json slow.json --junit j.xml --json c.json --markdown s.md --annotations
grep -q '^::error title=' out || fail "no annotation"
[[ -z $(command -v python3) ]] || python3 -c 'import json, xml.dom.minidom as x; x.parse("j.xml"); json.load(open("c.json"))' ||
    fail "files of gate"
[[ $(wc -l <s.md) -le 60 ]] && grep -q 'REGRESSION' s.md || fail "summary"
code 0 gate a.json same.json --markdown s.md
[[ $(grep -c '^### attrbench' s.md) == 2 ]] || fail "the summary is not added to"
code 5 gate a.json renamed.json
code 1 gate a.json same.json --junit absent/j.xml
says absent/j.xml
code 0 gate a.json same.json
grep -q '^### attrbench: no regression' out || fail "no summary on standard output"

# ---- builds by turns ----
case='kernel dense_plain dense n8i64o64 fwd'
cat >slower <<EOF
#!/bin/sh
ATTRBENCH_TEST_SLOW='dense_plain=0.3' exec "$attrbench" "\$@"
EOF
chmod +x slower
code 0 compare --against "$attrbench" --case "$case" --time 0.02 --quiet --max-slowdown 20%
grep -q '1 row: 0 regressions' out || fail "identical builds"
code 3 compare --against "$attrbench" --build ./slower --case "$case" --time 0.02 --quiet
grep '^regression' out | grep 'dense_plain' | grep -q 'confirmed' || fail "the slower kernel"
# A build whose first worker is slow, whose second is not, and whose others die at the case.
cat >flaky <<EOF
#!/bin/sh
echo x >>starts
case \$(wc -l <starts) in
1) ATTRBENCH_TEST_SLOW='dense_plain=0.5' exec "$attrbench" "\$@" ;;
2) exec "$attrbench" "\$@" ;;
*) sed -u '/^open/Q' | "$attrbench" "\$@" ;;
esac
EOF
chmod +x flaky
code 1 compare --against "$attrbench" --build ./flaky --case "$case" --time 0.05 --quiet
grep -q '^inconclusive.*dense_plain.*, open$' out || fail "one look cleared a row"
[[ $(grep -c '^not compared: .*dense_plain.*: B: .*further look 2)' out) == 1 ]] &&
    [[ $(grep -c '^not compared' out) == 1 ]] || fail "workers that died in further looks"
# What is less exact: a kernel or a method of three cases, B's alone.
cat >wrong <<EOF
#!/bin/sh
ATTRBENCH_TEST_WRONG='dense_plain=3e-6,gradient=5e-6' exec "$attrbench" "\$@"
EOF
# As builds are that are too old to judge.
cat >old <<EOF
#!/bin/sh
sed -u 's/^judge\$/judgement/' | "$attrbench" "\$@"
EOF
chmod +x wrong old
short=(--time 0.02 --quiet --max-slowdown 90%)
right=(--case 'kernel avgpool_plain avgpool n1c16ih8iw8oh4ow4k2s2 fwd fill=normal'
    --case 'method digits lrp-zplus native 1 1')
kernel='kernel dense_plain dense n8i256o64 fwd fill=normal'
# regresses WORD: of all rows the one whose key has the word is a regression, by its error.
regresses() {
    [[ $(grep -c '^regression' out) == 1 ]] && grep '^regression' out | grep -q "$1" ||
        fail "not exactly the row of $1"
    grep -A1 '^regression' out | grep -q 'its error grew from' || fail "no word of its error"
}
code 3 compare --against "$attrbench" --build ./wrong --case "$kernel" "${right[@]}" "${short[@]}"
regresses dense_plain
! grep -q 'by time alone' out || fail "a row was not judged"
code 3 compare --against "$attrbench" --build ./wrong --case 'method digits gradient native 1 1' "${right[@]}" "${short[@]}"
regresses 'method digits gradient'
code 3 gate --against "$attrbench" --build ./wrong --case "$kernel" "${right[@]}" "${short[@]}" --annotations
grep -q '^::error title=regression::kernel dense_plain .*its error grew from' out || fail "no annotation of errors"
code 0 compare --against ./wrong --case "$kernel" "${short[@]}"
grep -q '^improvement.*dense_plain' out || fail "what became exact"
code 0 compare --against "$attrbench" --build ./wrong --case "$kernel" "${short[@]}" --no-agree
grep -qF 'by time alone, not by error: 1 row (--no-agree)' out || fail "errors that nobody asked for"
sed -i 's/=3e-6/=0.5/' wrong
code 3 compare --against "$attrbench" --build ./wrong --case "$kernel" "${short[@]}"
grep -q 'no longer agrees with the reference (its error grew from .* to 0.5): bound: ' out || fail "the verdict"
code 0 compare --against ./old --build ./wrong --case "$kernel" "${right[@]}" "${short[@]}"
grep -qF 'by time alone, not by error: 3 rows (A: an older build' out || fail "an older build"
code 0 compare --against ./old --case "$kernel" "${short[@]}" --json
grep -q '"by_time_alone": 1' out || fail "JSON of an older build"

# As builds are that die of the question.
cat >deaf <<EOF
#!/bin/sh
sed -u '/^judge\$/Q' | "$attrbench" "\$@"
EOF
chmod +x deaf
code 1 compare --against "$attrbench" --build ./deaf --case "$kernel" "${short[@]}"
grep -q 'by time alone, not by error: 1 row (B: .*to judge' out || fail "a build that died of judging"
! grep -q 'no-agree' out || fail "an option that nobody gave"

# ---- interrupted ----
# A worker whose command line is its own ($tmp/here), and which tells when it begins with its
# COUNTth case.
ln -s "$attrbench" here
cat >telling <<EOF
#!/bin/sh
while read -r line; do
    case \$line in open*) echo x >>begun; [ "\$(wc -l <begun)" != "\$COUNT" ] || touch begins ;; esac
    echo "\$line"
done | ATTRBENCH_TEST_SLOW=\$SLOW "$tmp/here" "\$@"
EOF
chmod +x telling
# interrupted SIGNAL COUNT SLOW ARGS...: compares with it until then; the worker ends too.
interrupted() {
    local signal=$1 pid got i
    rm -f begun begins
    COUNT=$2 SLOW=$3 "$attrbench" compare --against "$attrbench" --build ./telling --quiet "${@:4}" >out 2>err &
    pid=$!
    for ((i = 0; i < 1000; i++)); do [[ ! -e begins ]] || break; sleep 0.02; done
    kill -"$signal" $pid
    wait $pid
    got=$?
    [[ $got == 130 ]] || fail "exit code $got after SIG$signal"
    for ((i = 0; i < 200; i++)); do pgrep -f "^$tmp/here" >/dev/null || return; sleep 0.02; done
    fail "a worker is left behind"
}
for signal in INT TERM; do
    interrupted $signal 1 '' --case "$kernel" --time 20
    says 'attrbench: no case was measured: interrupted'
    [[ ! -s out ]] || fail "nothing was finished"
    interrupted $signal 2 '' --case "$case" --case "$kernel" --time 2 --max-slowdown 90%
    grep -q '^1 row: ' out && grep -q '^interrupted: ' out || fail "what is finished is not printed"
done
interrupted INT 3 'dense_plain=3' --case "$case" --time 0.5
grep -q '^interrupted: ' out && grep -q 'regression at first; then' out || fail "interrupted in further looks"

interrupted INT 2 '' --case "$case" --case "$kernel" --time 2 --max-slowdown 90% --json
grep -q '"exit_code": 130' out || fail "the JSON has another exit code"

code 2 compare --against ./absent --case "$case"
says absent
code 5 compare --against "$attrbench" --case 'kernel no_such dense n8i64o64 fwd' --time 0.02 --quiet
says no_such

[[ $failures == 0 ]] || { echo "$failures failures"; exit 1; }
echo "all passed"
