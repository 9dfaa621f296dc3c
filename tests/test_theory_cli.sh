#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# attrbench theory as users meet it: small runs, files, refusals, interruption.
# AB_COMMAND: the binary; AB_SOURCE_DIR: the tree.
. "$(dirname "${BASH_SOURCE[0]}")/cli_support.sh"
data=${AB_SOURCE_DIR:?}/data

# ---- wrong usage: one line, nothing written ----
refused() { local word=$1; shift; code 2 theory "$@"; says "$word"; }
refused "did you mean 'alignment'" --experiment alignmant
refused "there are: alignment, class" --experiment nothing_like_it
refused "did you mean 'gradient'" --method gradiant
refused "give synthetic|digits" --tier imagenet
refused "give original|randomised" --explained top
refused "give signed|abs|clip" --normalise max
refused "give fresh|second" --redraw none
refused "--images" --images -3
refused "--images 99: there are only" --tier digits --images 99
refused "at most 4096" --images 100000
refused "--input needs --model" --input "$data/digits/sample-3.png"
refused "--preprocess needs --input" --preprocess unit
refused "--threads" --threads 5000
refused "did you mean 'native'" --backend naitve
refused "did you mean 'vgg16'" --model vgg61
refused "did you mean --experiment" --experimnt class
code 1 theory --experiment class --images 1 --out /dev/null/x
says "/dev/null"
code 1 theory --model ./missing.onnx
says "missing.onnx"
[[ ! -e attrbench-out ]] || fail "something was written"

# ---- a small run: tables, verdicts, files ----
strict='
import json, sys
def refuse(word): raise ValueError("not strict JSON: " + word)
d = json.load(open(sys.argv[1]), parse_constant=refuse)
names = [e["experiment"] for e in d["experiments"]]
assert names == sys.argv[2].split(","), names
for e in d["experiments"]:
    assert e["tables"] and e["plots"] and e["verdicts"], e["experiment"]
    for t in e["tables"]:
        for row in t["rows"]:
            assert list(row["values"]) == t["columns"], (t["columns"], row)
            assert ("null_reason" in row) == (None in row["values"].values()), row
    for v in e["verdicts"]:
        assert v["prediction"] and isinstance(v["shown"], bool) and v["effect"]["name"], v
'
json() { [[ -z $(command -v python3) ]] || python3 -c "$strict" "$1" "$2" 2>>err || fail "$1"; }
pictures() {
    local f
    for f in "$1"/*.svg; do
        [[ -s $f ]] || fail "no picture in $1"
        [[ -z $(command -v python3) ]] || python3 -c '
import sys, xml.dom.minidom
text = open(sys.argv[1]).read()
xml.dom.minidom.parseString(text)
assert "nan" not in text and "inf" not in text' "$f" 2>>err || fail "$f"
    done
}
three="--experiment alignment,class,randomisation"
few="--method gradient,guided-backprop,lrp-zplus:seed=one"
code 0 theory $three $few --images 2 --out small
json small/theory.json alignment,class,randomisation
pictures small
[[ $(grep -c '^verdict: alignment: theory: .* this run shows it' out) -ge 2 ]] ||
    fail "closed forms are not shown"
grep -q 'Do not rank methods' out || fail "no caution about randomisation"
! ls small/*.tmp >/dev/null 2>&1 || fail "temporary files left"

# The same experiments, twice and on other threads; --json prints the file.
experiments='import json, sys; print(json.dumps(json.load(open(sys.argv[1]))["experiments"]))'
same() {
    [[ -n $(command -v python3) ]] || return
    python3 -c "$experiments" "$1" >first
    python3 -c "$experiments" "$2" >second
    cmp -s first second && [[ -s first ]] || fail "$1 is not $2"
}
code 0 theory $three $few --images 2 --threads 2 --out other --json
cmp -s out other/theory.json || fail "--json prints something else"
same small/theory.json other/theory.json
for f in small/*.svg; do cmp -s "$f" "other/${f##*/}" || fail "$f depends on the threads"; done
code 0 theory --experiment class $few --images 2 --seed 1 --out seed
grep -q 'seed 1' out || fail "the seed is not said"

# ---- other subjects, other protocols ----
code 0 theory --tier digits --experiment class,alignment $few --images 3 --out digits
json digits/theory.json alignment,class
grep -q 'trained weights, 3 images' out || fail "the digits are not said to be trained"
code 0 theory --model digits --input "$data/digits/sample-3.png" --input "$data/digits/sample-4.png" \
    --experiment randomisation $few --explained randomised --normalise clip --redraw second --out p
grep -q 'explained class of the randomised network, weights copied' out || fail "protocol not said"
code 0 theory --experiment class --images 1 --method gradient --out one
grep -q 'an interval takes two images' one/theory.json || fail "no reason beside a null"

grep -q 'trained weights are not independent' digits/theory.json || fail "no note on training"

# ---- interruption: finished experiments stay ----
"$attrbench" theory --experiment class,randomisation --images 16 --out cut >out 2>err &
pid=$!
for _ in $(seq 600); do [[ -s cut/theory.json ]] && break; sleep 0.1; done
kill -INT $pid
wait $pid
got=$?
[[ $got == 130 ]] || fail "exit code $got after an interruption"
grep -q 'holds the finished experiments' err || fail "the interruption is not explained"
json cut/theory.json class
grep -q '"interrupted": true' cut/theory.json || fail "theory.json does not say it was interrupted"

[[ $failures == 0 ]] || echo "$failures failed"
exit $((failures > 0))
