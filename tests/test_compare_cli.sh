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
code 2 compare --against ./absent --case "$case"
says absent
code 5 compare --against "$attrbench" --case 'kernel no_such dense n8i64o64 fwd' --time 0.02 --quiet
says no_such

[[ $failures == 0 ]] || { echo "$failures failures"; exit 1; }
echo "all passed"
