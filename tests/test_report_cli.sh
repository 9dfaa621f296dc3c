#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# attrbench report: what it writes from runs, and what it says about bad files.
# AB_COMMAND: the binary; AB_SOURCE_DIR: the tree.
. "$(dirname "${BASH_SOURCE[0]}")/cli_support.sh"

has() { grep -qF -- "$2" "$1" || fail "$1 lacks '$2'"; }
lacks() { ! grep -qF -- "$2" "$1" || fail "$1 has '$2'"; }
# The data of a page: one line.
data() { sed -n 's,^<script type="application/json" id="data">\(.*\)</script>$,\1,p' "$1/report.html"; }
python() { [[ -z $(command -v python3) ]] || python3 "$@" >out 2>err || fail "python: $*"; }

# ---- a run ----
code 0 run --model digits --method gradient,lrp-zplus --backend native,onednn --profile --time 0.02 --out run
[[ -s run/maps/001.png ]] || fail "run keeps no single maps"
has run/results.json '"read_bandwidth_gbs"'
has run/results.json '"layer":"features.0"'
code 0 report run --out r
for f in report.html report.md report.csv junit.xml; do [[ -s r/$f ]] || fail "no $f"; done
[[ $(wc -l <out) == 4 ]] || fail "does not name its four files"
[[ ! -s err ]] || fail "talks"
! ls r/*.tmp* >/dev/null 2>&1 || fail "temporary files left"
has r/report.md '| digits | lrp-zplus | native | 1 | 1 |'
[[ $(data r | wc -l) == 1 ]] || fail "the page has no line of data"
[[ $(data r | grep -o '"png":"iVBOR' | wc -l) == 12 ]] || fail "not the twelve pictures of four images"
! grep -nE '(src|href)="(https?:)?//' r/report.html >/dev/null || fail "the page asks the network"
code 0 report run/results.json --title 'A & B <i>' --out r
has r/report.html '<title>A &amp; B &lt;i&gt;</title>'
code 0 report run --json --out r
[[ $(wc -l <out) == 1 ]] || fail "--json is not one line"
cp out data.json
[[ $(wc -l <err) == 4 ]] || fail "--json talks on standard output"
python -c '
import csv, json, xml.dom.minidom
doc = json.load(open("data.json"))
records = json.load(open("run/results.json"))["results"]
assert len(doc["rows"]) == len(records)
for row, record in zip(doc["rows"], records):
    assert row.get("ns_median") == record["ns_median"] and row.get("rel_l2") == record["rel_l2"]
    assert len(row.get("samples_ns", [])) <= 240
rows = list(csv.DictReader(open("r/report.csv", newline="")))
assert len(rows) == len(records)
assert float(rows[0]["ns_median"]) == records[0]["ns_median"], rows[0]
suite = xml.dom.minidom.parse("r/junit.xml").documentElement
cases = suite.getElementsByTagName("testcase")
assert len(cases) == int(suite.getAttribute("tests")) == sum(r["kind"] != "step" for r in records)'

# The default is where run writes.
cp -r run attrbench-out
code 0 report
[[ -s attrbench-report/report.html ]] || fail "no default folder"
rm -r attrbench-out attrbench-report

# A picture that is gone or broken is left out, and said.
cp -r run holes && rm holes/maps/002.png && echo text >holes/maps/003.png
code 0 report holes --out h
has err '002.png: is gone'
has err '003.png: is no PNG'
[[ $(data h | grep -o '"png":"iVBOR' | wc -l) == 10 ]] || fail "not the ten pictures that are left"
# Without single maps the sheet is shown; a context cannot name files elsewhere.
mkdir sheet && cp run/maps.png sheet
sed 's/"file": "maps/"file": "..\/run\/maps/' run/results.json >sheet/results.json
code 0 report sheet --out h
lacks h/report.html '"png":"iVBOR'
python -c '
import json
doc = json.load(open("run/results.json"))
del doc["context"]["maps"]
json.dump(doc, open("sheet/results.json", "w"))'
[[ -z $(command -v python3) ]] || { code 0 report sheet run --out h && has h/report.html '"sheets":[{"run":0,"png":"iVBOR'; }

# ---- texts that mean something elsewhere ----
mkdir bad
row() { printf '{"kind":"method","model":"%s","method":"%s","backend":"native","threads":1,"batch":1,"ns_median":%s,"verdict":"%s"}' "$@"; }
results() { printf '{"context":{},"results":[%s]}\n' "$1"; }
results "$(row '</script><script>pwned=1</script>' '=1+1|`<b>' 12 disagree),$(row '\u0001\n,\"' a 9 agree)" >bad/results.json
code 0 report bad --out b
lacks b/report.html '<script>pwned'
has b/report.html '\u003c/script\u003e\u003cscript\u003epwned=1'
has b/report.md '&lt;/script&gt;&lt;script&gt;pwned=1'
has b/report.md '=1+1\|\`&lt;b&gt;'
has b/report.csv "\"'=1+1|\`<b>\""
has b/junit.xml '&lt;/script&gt;'
has b/junit.xml 'tests="2" failures="1" skipped="0"'
python -c '
import csv, xml.dom.minidom
xml.dom.minidom.parse("b/junit.xml")
rows = list(csv.DictReader(open("b/report.csv", newline="")))
assert rows[1]["model"] == "\x01\n,\"", rows[1]'

# Names of runs are those of their folders.
mkdir -p deep/night && cp bad/results.json deep/night && cp bad/results.json deep/other.json
code 0 report deep/night deep/other.json --out n
has n/report.md '| night |'
has n/report.md '| other |'

# ---- runs of the store ----
code 1 report
[[ ! -e attrbench.db ]] || fail "makes a store"
save() { code 0 run --model digits --method lrp-zplus --backend native --no-agree --no-joint --time 0.02 --save "$1" --out saved; }
save night && save night && save night && save other
mv saved gone
code 0 report night other '#1' --out s
has s/report.md '| night \#3 |'
has s/report.md '| other \#4 |'
has s/report.md '| night \#1 |'
data s | grep -q '"histories":\[{"name":"night","others":0,"crossed":0,"differs":"","runs":\[{.*},{.*},{.*}\],"series":\[{"key":' || fail "no history of three runs"
data s | grep -o '"name":"night","others":.*' | grep -q '"at":\[0,1,2\],"ns":\[[0-9.]*,[0-9.]*,[0-9.]*\],"breaks":' || fail "no series"
code 0 report --out s
has s/report.md '| other \#4 |'
code 0 report 'night~1' --db attrbench.db --out s
has s/report.md '| night \#2 |'
code 2 report nights --out s
says "night"
code 2 report night --db none.db
says "'night': no such file or run: there is no store none.db"
echo text >text.db
code 1 report night --db text.db
says 'text.db'
# Three files are a history too, by their dates.
for d in 3 1 2; do
    mkdir "day$d"
    printf '{"context":{"date":"2026-01-0%d"},"results":[{"kind":"method","model":"m","method":"x","backend":"native","samples_ns":[%d]}]}' \
        "$d" "$((1000 * d))" >"day$d/results.json"
done
code 0 report day3 day1 day2 --out d
has d/report.md '## History of the given files'
data d | grep -q '"ns":\[1000.0,2000.0,3000.0\]' || fail "files are not in the order of their dates"
# Of other conditions only with --cross, which is said.
for d in 1 2 3; do
    mkdir "cpu$d"
    printf '{"context":{"date":"2026-01-0%d","cpu":{"model":"%s"}},"results":[{"kind":"method","model":"m","method":"x","backend":"native","samples_ns":[%d]}]}' \
        "$d" "$([[ $d == 1 ]] && echo old || echo new)" "$((1000 * d))" >"cpu$d/results.json"
done
code 0 report cpu1 cpu2 cpu3 --out d
data d | grep -q '"histories":\[\]' || fail "a history of runs under different conditions"
code 0 report cpu1 cpu2 cpu3 --cross --out d
data d | grep -q '"others":0,"crossed":1,"differs":"[^"]*old[^"]*new' || fail "does not tell what differs"
data d | grep -q '"ns":\[1000.0,2000.0,3000.0\]' || fail "--cross leaves runs out"
has d/report.md '1 run was measured under other conditions than the newest ('
for d in 1 2 3; do code 0 import "cpu$d/results.json" --name cpus --db cpus.db; done
code 0 report cpus --db cpus.db --out d
data d | grep -q '"histories":\[\]' || fail "the store's history crosses conditions unasked"
code 0 report cpus --cross --db cpus.db --out d
data d | grep -q '"name":"cpus","others":0,"crossed":1,"differs":"[^"]*old[^"]*new' || fail "--cross leaves runs of the store out"
# What a killed run leaves.
mkdir killed && head -3 run/results.jsonl >killed/results.jsonl
code 0 report killed --out k
has k/report.md '(interrupted)'

# ---- two runs against one another ----
# timed FILE FACTOR METHOD CPU: a row of 200 samples around 1 ms times the factor.
timed() {
    awk -v f="$2" -v m="$3" -v cpu="$4" 'BEGIN {
        printf "{\"context\":{\"cpu\":{\"model\":\"%s\"}},\"results\":[", cpu
        printf "{\"kind\":\"method\",\"model\":\"m\",\"method\":\"%s\",\"backend\":\"native\",\"threads\":1,\"batch\":1,\"samples_ns\":[", m
        for (i = 0; i < 200; i++) printf "%s%d", (i ? "," : ""), f * (1000000 + i * 7919 % 1000)
        print "]}]}"
    }' >"$1"
}
timed a.json 1 x one && timed b.json 1.3 x one && timed c.json 1 y one && timed e.json 1 x two
code 0 report --compare a.json b.json --out c
data c | grep -o '"comparison":.*' >out
has out '"a":"a","b":"b","rows":[{"key":"method/m/x/native/'
has out '"change":"regression"'
grep -q '"ratio":1\.[23]' out || fail "the ratio is not 1.3"
grep -qE '^\| method/m/x/native.* \| regression \| \+(29|30)' c/report.md || fail "the summary lacks the regression"
code 0 report b.json a.json --compare --out c
data c | grep -q '"change":"improvement"' || fail "no improvement"
code 2 report --compare a.json --out c
says 'takes two runs'
code 5 report --compare a.json c.json --out c
code 5 report --compare a.json e.json --out c
code 0 report --compare a.json e.json --cross --out c
data c | grep -q '"crossed":"[^"]' || fail "the page does not tell that the machines differ"

# ---- what attrbench tune wrote ----
sample=${AB_SOURCE_DIR:?}/tests/data/deploy.json
code 0 report "$sample" --out t
[[ $(wc -l <out) == 5 ]] || fail "does not name its five files"
has t/report.md '## Deployment of resnet50, lrp-zplus'
has t/report.md 'Recommended: **native:avx512 auto fast 1x2 batch=1 cores huge keep**: 31 (30.38 to 31.46) images/s'
has t/report.md '| engine | native:avx512 | onednn | +39.0 % | +36.0 % | +42.0 % |'
has t/report.md 'Forecast for size=448: the model has one size only'
lacks t/report.md nan
has t/report.md 'Largest rate: 21.5 requests a second at random kept the limit; 24.2 did not; served again, it held again.'
has t/report.md 'Confirmation: 17.2 requests a second for 60 s: the limit held, latency 71.2 ms (69.8 ms to 74.0 ms).'
has t/junit.xml 'tests="1" failures="0" skipped="0"'
has t/deployment.csv 'deployment,model,method,recommended,configuration,'
[[ $(wc -l <t/deployment.csv) == 14 ]] || fail "deployment.csv has not all points"
# Files of one name are told apart: by folders, and one that is given twice by a number.
mkdir -p d/a d/b d/b/a
cp "$sample" d/a/deploy.json && cp "$sample" d/b/deploy.json && cp "$sample" d/b/a/deploy.json
code 0 report d/a/deploy.json d/b/deploy.json d/b/a/deploy.json d/b/a/../a/deploy.json d/a/deploy.json d/a/deploy.json --out names
cut -d, -f1 names/deployment.csv | uniq | tr '\n' '|' >list
[[ $(<list) == 'deployment|deploy|b/deploy|a/deploy|../a/deploy|d/a/deploy|d/a/deploy (2)|' ]] || fail "names: $(<list)"
# It goes with the next report that has none.
cp -r t stale
code 0 report run --out stale
[[ ! -e stale/deployment.csv ]] && ! grep -q deployment.csv out || fail "a stale deployment.csv"
mkdir stale/deployment.csv
code 1 report run --out stale
says 'stale/deployment.csv: is of another report'
python -c '
import csv, json
points = json.load(open("'"$sample"'"))["points"]
rows = list(csv.DictReader(open("t/deployment.csv", newline="")))
assert [r["configuration"] for r in rows] == [p["text"] for p in points]
assert sum(r["recommended"] == "true" for r in rows) == 1
assert float(rows[0]["p99_ns"]) == points[0]["latency_ns"]["p99"]["value"]
assert rows[11]["error"] == points[11]["error"] and rows[11]["p50_ns"] == ""'
lacks t/report.md 'The host'
sed 's/"tune": {/&"stolen": 0.17, "dropped": 3, "provisional": true, "pace_least": 0.7, "pace_most": 1.25, /' "$sample" >stolen.json
code 0 report stolen.json --out stolen
has stolen/report.md 'The host of the virtual machine took 17 % of the CPU time that these visits asked for (3 more dropped for that).'
has stolen/report.md 'provisional: the host took too much of the CPU time'
has stolen/report.md "The machine's pace went from 70 to 125 % of that at the first visit"
# Slower than the best for certain, but with less memory: the trade-off counts.
sed 's/"front": false, "alike": false, "dropped": "dominated"/"front": true, "alike": false, "dropped": "dominated"/' "$sample" >front.json
code 0 report front.json --out t2
grep -qE '^\| onednn auto fast 1x2 .* \| front \|$' t2/report.md || fail "a point of the front is not told as one"
data t | grep -q '"commands":\["attrbench explain ' || fail "the page has no commands"
data t | grep -q '"deployments":\[{"model":"resnet50",' || fail "the page has no deployment"
code 0 report run "$sample" --out t
has t/report.md '## Methods'
has t/report.md '## Deployment of resnet50'
# broken FROM TO WORDS: the sample with TO in FROM's place is refused with these words.
broken() {
    sed "s|$1|$2|" "$sample" >x.json
    ! cmp -s "$sample" x.json || fail "the sample has no $1"
    code 1 report x.json --out x
    says "x.json: $3"
    [[ ! -e x ]] || fail "writes although the input is bad: $1"
}
broken '"attrbench_config": 1' '"attrbench_config": 2' 'attrbench_config: is not 1'
broken '"attrbench_config": 1,' '"attrbench_config": 1' 'line 3: no JSON'
broken '"tune": {' '"tuned": {' 'a configuration without measurements'
broken '"model": "resnet50"' '"model": 50' 'model: is not a text'
broken '"method":' '"methods":' 'method: is not there'
broken '"throughput"' '"speed"' 'tune.objective: is not one of latency|throughput|memory'
broken '"visits": 4' '"visits": 4.5' 'points[0].visits: is not a whole number from 0'
broken '"visits": 4' '"visits": -1' 'points[0].visits: is not a whole number from 0'
broken '"p50": {"value": 36200000.0' '"p50": {"value": "fast"' 'points[1].latency_ns.p50.value: is not a number from 0'
broken '"verdict": "disagree"' '"verdict": "wrong"' 'points[10].verdict: is not one of'
broken '"front": true' '"front": 1' 'points[0].front: is not true or false'
broken '"cpus": \[\[0\], \[1\]\]' '"cpus": [0]' 'deploy.cpus: is not a list of lists of CPUs'
broken '"dropped": "roof"' '"dropped": "tired"' 'points[12].dropped: is not one of error'
broken '"compute": 0.64' '"compute": true' 'limits.share.compute: is not a number from 0'
broken '"recommended": "native' '"recommended": "nature' 'recommended: is not the text of one of the points'
broken '"engine": \["native:avx512"' '"engine": [["native:avx512"]' 'tune.space: is not an object of lists'
broken '"points": \[$' '"points": [7,' 'points[0]: is not an object'
broken '"state": "held"' '"state": "kept"' 'max_rate.probes[0].state: is not one of held'
broken '"rate": 17.2' '"rates": 17.2' 'confirm.rate: is not there'
broken '"fit_ns": 61200000.0' '"fit_ns": -1' 'forecast[0].points[0].fit_ns: is not a number from 0'
broken '"gain": 1.39' '"gain": null' 'knobs[0].gain: is not a number from 0'
# What need not be there may be missing.
cat >bare.json <<'EOF'
{"attrbench_config": 1, "model": "m", "method": "x", "tune": {"objective": "latency"}, "points": [{"text": "one", "deploy": {
 "backend": "onednn", "algo": "auto", "memory": "fast", "pages": "huge", "denormals": "keep", "place": "free", "threads": 1, "instances": 1, "batch": 1},
 "visits": 0}], "max_rate": {"held": null}, "confirm": {"rate": 2, "state": "open"}, "forecast": {"what": "batch=2"}, "recommended": "one"}
EOF
code 0 report bare.json --out t
! grep -qiE '\bnan\b|inf\b|null' t/report.md || fail "numbers that are none"
# Nothing that meets the requirements is a failure.
sed 's|^  "recommended": .*|  "recommended": null,|' "$sample" >none.json
code 0 report none.json --out t
has t/report.md 'Nothing meets the requirements'
has t/junit.xml 'failures="1"'
code 2 report --compare "$sample" a.json --out c
says 'takes two runs'

# ---- bad files ----
code 2 report nowhere --db none.db
says "'nowhere': no such file or run"
code 1 report bad/../deep
says 'holds neither results.json nor results.jsonl'
# refused TEXT WORDS: a results.json of that text is refused with these words.
refused() {
    printf '%s\n' "$1" >x.json
    code 1 report x.json --out x
    says "x.json: $2"
    [[ ! -e x ]] || fail "writes although the input is bad: $1"
}
refused '{"context":{},"results":[{"kind":"method","ns_median":NaN}]}' 'line 1: '
refused '{"context":{},' 'line 2: '
refused '[]' 'JSON, but'
refused '{"context":{},"results":{}}' ''
refused '{"context":{},"results":[]}' ''
refused '{"context":{},"results":[7]}' 'result 1 '
refused '{"context":{},"results":[{"kind":"method"},{"model":"m"}]}' 'result 2 '
refused '{"context":{},"results":[{"kind":"method","ns_median":"fast"}]}' 'result 1: "ns_median" is of a wrong type'
refused '{"context":{},"results":[{"kind":"method","model":3}]}' 'result 1: "model" is of a wrong type'
code 1 report bad --out bad/results.json
says 'bad/results.json: cannot be written'
code 1 report bad --out bad/results.json/deeper
says 'cannot be written'
code 2 report --otu x
says 'did you mean --out'
code 2 report ''
says 'RUN... is empty'
code 0 report --help
has out 'usage: attrbench report [RUN]...'

# Many rows: samples are thinned, the page stays below a few megabytes.
awk -v samples="$(seq -s, 1 100)" 'BEGIN {
    for (i = 1; i <= 3000; i++)
        printf "%s{\"kind\":\"method\",\"model\":\"m\",\"method\":\"x%d\",\"backend\":\"native\",\"ns_median\":%d,\"samples_ns\":[%s]}", (i > 1 ? "," : ""), i, i, samples
}' >rows
results "$(cat rows)" >many.json
code 0 report many.json --out m
[[ $(data m | grep -o '"samples_ns":\[[0-9,]*\]' | head -1 | tr -cd , | wc -c) == 65 ]] || fail "samples are not thinned to 66"
[[ $(stat -c %s m/report.html) -lt 3000000 ]] || fail "a page of 3000 rows is too large"
has m/report.md '2800 more are in report.csv'

[[ $failures == 0 ]] || { echo "$failures failures"; exit 1; }
