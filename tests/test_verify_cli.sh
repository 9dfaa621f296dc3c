#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# attrbench verify as users meet it: filters, repro lines, files, refusals, interruption.
# AB_COMMAND: the binary; AB_SOURCE_DIR: the tree; AB_BUILD_DIR: where examples are built.
. "$(dirname "${BASH_SOURCE[0]}")/cli_support.sh"
plugin=${AB_BUILD_DIR:?}/examples/verify_wrong.so

code() {
    local expected=$1 got
    shift
    timeout 250 "$attrbench" verify "$@" >out 2>err
    got=$?
    [[ $got == "$expected" ]] || fail "exit code $got, not $expected: attrbench verify $*"
}
has() { grep -qE -- "$2" "$1" || fail "$1 lacks '$2'"; }

# json FILE CLAIM: of d, the document, and r and c, its results and context. Strict JSON, one row a
# line.
json() {
    grep -q '"kind":"verify"' "$1" || grep -q '"candidates"' "$1" || fail "$1 has no rows"
    [[ -n $(command -v python3) ]] || return
    python3 -c '
import json, sys
def refuse(word): raise ValueError("not strict JSON: " + word)
d = json.load(open(sys.argv[1]), parse_constant=refuse)
r, c = d.get("results"), d.get("context")
sys.exit(not eval(sys.argv[2]))' "$1" "$2" 2>>err || fail "$1: not so: $2"
}

# ---- wrong usage: one line that says what is right ----
refused() {
    local word=$1
    shift
    code 2 "$@"
    [[ $(wc -l <err) == 1 ]] || fail "not one line on stderr: $*"
    grep -qF -- "$word" err || fail "stderr does not say '$word': $*"
    [[ ! -s out ]] || fail "something on stdout: $*"
}
refused "did you mean 'conv2d'" --op conv2
refused "attrbench verify --list" --op 'nothing*'
refused "ref, plain, neon, avx2, avx512, onednn, all" --isa sse
refused "int, uint, normal" --fill gaussian
refused "give -20 to 20" --exponent 21
refused "give -20 to 20" --exponent 1e3
refused "--seed 'x'" --seed x
refused "give a duration" --fuzz soon
refused "no operation asked for has it" --op dense --shape n1c3
refused "no operation asked for has it" --shape hello
refused "did you mean --selftest" --selftst
refused "CANDIDATE TRIAL" --repro dense_plain
refused "did you mean 'dense_plain'" --repro 'dense_plian dense n1i5o7 fwd'
refused "does maxpool, but the line says dense" --repro 'maxpool_plain dense n1i5o7 fwd'
refused "--repro: " --repro 'dense_plain dense n1i5o7 sideways'
refused "--repro: " --repro 'method gradiant graph=1 seed=1 backend=native:plain'
refused "leave out --op" --repro 'dense_plain dense n1i5o7 fwd' --op dense
refused "do not go together" --repro 'x y' --selftest
refused "--dump goes with --repro" --dump d
code 1 --shapes missing.txt
has err 'missing.txt'
code 1 --fill missing.npy --op dense_plain
has err 'missing.npy'
code 1 --plugin ./missing.so
has err 'missing.so'
code 1 --op dense_plain --methods no --shape n1i3o2 --junit /dev/null/x
has err "/dev/null/x"

# ---- what there is ----
code 0 --list
has out '^dense_plain +dense +plain +[1-9]'
code 0 --list --json --op 'dense*'
json out 'len(d["candidates"]) > 1 and all(k["op"].startswith("dense") for k in d["candidates"])'

# ---- a small run: table, JSON, JUnit ----
xml() {
    if command -v xmllint >/dev/null; then
        xmllint --noout "$1" || fail "$1 is no XML"
    elif command -v python3 >/dev/null; then
        python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$1" ||
            fail "$1 is no XML"
    fi
}
code 0 --op dense_plain,dense_ref --methods no --junit v.xml --out o
has out '^dense_plain +plain +[1-9][0-9]* .* pass$'
has out 'nothing failed'
xml v.xml
has v.xml 'failures="0"'
[[ $(ls) == $'err\no\nout\nv.xml' ]] || fail "files left: $(ls)"
code 0 --op dense_plain --methods no --json
json out 'r[0]["kind"] == "verify" and r[0]["verdict"] == "pass" and r[0]["fail"] == 0'
json out 'r[0]["cases"] > 100 and 0 < r[0]["worst_ratio"] < 1 and r[0]["worst_trial"]'
json out 'c["interrupted"] is False and c["failed"] == 0'
json o/verify.json '"dense_plain" in [k["kernel"] for k in r]'

# ---- filters ----
code 0 --op dense --isa plain --methods no --shape n2i33o17
has out '^dense_plain '
! grep -q '^dense_ref' out || fail "--isa plain runs ref"
code 0 --op dense_plain --methods no --shape n3i40o20 --fill int --exponent -3 --seed 5
has out '^dense_plain .* pass$'
printf 'n1c4h6w6o4k3s1p1 first\n# none\nn1c3h9w9o5k3-5s1p1-2\n' >shapes.txt
code 0 --op conv2d_plain --shapes shapes.txt --fill normal
has out '^conv2d_plain .* pass$'
code 0 --op gradient --isa plain
has out '^1 method +native:plain .* pass$'
code 0 --isa neon --op dense --methods no
has out '^neon .*skipped \(.*(qemu-user|arm64)|^dense_neon .* pass$'

# ---- one case ----
code 0 --repro 'dense_plain dense n2i40o20 bwd fill=normal seed=7 side=right' --dump d
has out '^result +pass'
has out 'shape n2i40o20: 1600 products'
ls d/*.npy >/dev/null 2>&1 || fail "--dump wrote nothing"
[[ $(head -c 6 "$(ls d/*.npy | head -1)" | tail -c 5) == NUMPY ]] || fail "--dump: no .npy"
code 0 --repro 'method gradient graph=0 seed=1 backend=native:plain batch=1'
has out '^result +(pass|mistrusted)'

# ---- failures: a wrong plugin, its repro lines, shrinking ----
if [[ -e $plugin ]]; then
    code 6 --plugin "$plugin" --op 'verify_wrong:*' --methods no --json --junit f.xml
    json out 'len([k for k in r if k["verdict"] == "fail"]) >= 3'
    xml f.xml
    has f.xml '<failure type="'
    sed -nE "s/^ +(attrbench verify .*--repro '.*')$/\\1/p" err >repros
    [[ $(wc -l <repros) -ge 3 ]] || fail "no repro lines"
    while read -r line; do
        # The printed command, word for word, gives the same failure.
        eval "\"$attrbench\" ${line#attrbench }" >again 2>&1
        [[ $? == 6 ]] || fail "does not fail again: $line"
    done <repros
    code 6 --plugin "$plugin" --op 'verify_wrong:tail' --methods no --fail-fast
    has out 'not reached'
    code 6 --plugin "$plugin" --op 'verify_wrong:tail' --methods no --fuzz 3s --seed 1
    has out 'a second'
    line=$(grep -oE "attrbench verify .*--repro '.*'" out | head -1)
    products=$(eval "\"$attrbench\" ${line#attrbench }" | sed -nE 's/.*: ([0-9]+) products/\1/p')
    [[ -n $products && $products -le 200 ]] || fail "not shrunk: $line ($products products)"
fi

# ---- fuzzing: the seed decides ----
code 0 --op dense_plain --methods no --fuzz 2s --seed 3
has out '^dense_plain .* pass$'
has out '\([0-9]+ a second\)'

# ---- interruption: what was found is told ----
"$attrbench" verify --op dense_plain --methods no --fuzz 100s --json >out 2>err &
pid=$!
sleep 2
kill -INT $pid
wait $pid
got=$?
[[ $got == 130 ]] || fail "exit code $got after an interruption"
has err 'interrupted'
json out 'c["interrupted"] is True and r[0]["cases"] > 0'
sleep 0.5
! pgrep -P $pid >/dev/null || fail "workers survive"

[[ $failures == 0 ]] || echo "$failures failed"
exit $((failures > 0))
