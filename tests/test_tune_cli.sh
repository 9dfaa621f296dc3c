#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# attrbench tune: what it refuses, what it writes, how it ends, how it goes on. Times are short, so
# that what is recommended is not looked at, but that it is what was asked for. AB_COMMAND: the binary;
# AB_SOURCE_DIR: the tree.
. "$(dirname "${BASH_SOURCE[0]}")/cli_support.sh"
data=${AB_SOURCE_DIR:?}/data
digits=(--model digits --method gradient --quiet)
# Three points.
small=(--space engine=native:plain,onednn --space algo=auto --space threads=1 --space instances=1
    --space batch=1 --space place=free --space pages=small --space denormals=keep)
tune() { code "$1" tune "${@:2}"; }

# ---- wrong usage: one line, that names the thing and the remedy ----
tune 2 && says "--model M is missing"
tune 2 --model digits && says "--method S is missing"
tune 2 --model resnet05 --method gradient && says "unknown model 'resnet05'"
tune 2 --model digits --method gradeint && says "did you mean 'gradient'?"
tune 2 "${digits[@]}" --slo p99 && says "such as p99=80ms"
tune 2 "${digits[@]}" --slo p99=-3ms && says "SLO 'p99=-3ms'"
tune 2 "${digits[@]}" --min-agree none && says "--min-agree: 'none'"
tune 2 "${digits[@]}" --min-agree nan && says "--min-agree: 'nan'"
tune 2 "${digits[@]}" --load poisson && says "poisson:R"
tune 2 "${digits[@]}" --load poisson:20 --objective throughput && says "the rate is given"
tune 2 "${digits[@]}" --space threads=100000 && says "CPU"
tune 2 "${digits[@]}" --space batch=0 && says "whole numbers from 1"
tune 2 "${digits[@]}" --space colour=red && says "there are engine, algo"
tune 2 "${digits[@]}" --space engine=native:avx1024 && says "engine=native:avx1024"
tune 2 "${digits[@]}" --budget 0.1 && says "--budget"
tune 2 "${digits[@]}" --confirm && says "--slo"
tune 2 "${digits[@]}" --forecast moon=1 && says "batch="
tune 2 "${digits[@]}" --resume && says "--out"
tune 2 --config deploy.json --model digits && says "leave out --model"
tune 1 --config deploy.json && says "deploy.json"
tune 1 --config "$data/images/chelsea.png" && says "PNG image"
head -c 300 "$data/digits/digits.onnx" >half.onnx
tune 1 --model ./half.onnx --method gradient && says "half.onnx"
tune 1 "${digits[@]}" --out none/deploy.json && says "none/deploy.json"
[[ ! -e deploy.json ]] || fail "something was written"

# ---- a whole search ----
tune 0 "${digits[@]}" "${small[@]}" --budget 30s --out deploy.json
prints "Recommended: "
prints "ab_config_load(\"deploy.json\""
prints "agree: rel. L2"
grep -q '"attrbench_config": 1' deploy.json || fail "no configuration"
grep -q '"complete": true' deploy.json || fail "two points were not enough for 30 s"
grep -q NaN deploy.json && fail "NaN in JSON"
code 0 explain --config deploy.json --input "$data/digits/sample-3.png" --out map.npy
code 0 explain --model digits --method gradient --backend native:plain --input "$data/digits/sample-3.png" --out plain.npy
[[ -s map.npy ]] || fail "no map"
code 0 report deploy.json --out page && [[ -s page/report.html && -s page/deployment.csv ]] || fail "no page"

# ---- the same configuration, measured anew ----
tune 0 --config deploy.json --quiet --budget 5s --out again.json
deployed() { tr -d '\n ' <"$1" | grep -o '"deploy":{[^}]*}' | head -1; }
[[ $(deployed deploy.json) == "$(deployed again.json)" ]] || fail "--config measured another configuration"
sed 's/"cpu": "[^"]*"/"cpu": "abacus"/' deploy.json >foreign.json
code 1 explain --config foreign.json --input "$data/digits/sample-3.png" --out no.npy
says "another machine"
tune 0 --config foreign.json --quiet --budget 5s --out here.json
grep -qF "foreign.json: made on another machine" err || fail "not said that it is foreign"
code 0 explain --config here.json --input "$data/digits/sample-3.png" --out map.npy

# ---- nothing that will do ----
tune 5 "${digits[@]}" "${small[@]}" --budget 10s --slo p50=1us --out never.json
prints "Nothing meets the requirements"
prints "closest"
tune 6 "${digits[@]}" "${small[@]}" --budget 10s --min-agree 1e-12 --out never.json
prints "agree"
[[ ! -e never.json ]] || fail "a configuration that does not do was written"

# ---- JSON, Markdown, an open loop, a rate ----
tune 0 "${digits[@]}" "${small[@]}" --budget 10s --load poisson:50 --json
grep -q '"load": "poisson:50"' out || fail "the load is not in the JSON"
tune 0 "${digits[@]}" "${small[@]}" --budget 10s --markdown
[[ $(wc -l <out) == 1 ]] && prints "| digits | gradient |"

# ---- killed, and taken up again; interrupted ----
"$attrbench" tune "${digits[@]}" --budget 60s --out killed.json >out 2>err &
pid=$!
for _ in $(seq 300); do
    [[ -e killed.json.visits && $(wc -l <killed.json.visits) -ge 3 ]] && break
    sleep 0.1
done
kill -9 $pid
wait $pid 2>/dev/null
before=$(wc -l <killed.json.visits)
[[ $before -ge 3 && ! -e killed.json ]] || fail "$before lines were kept"
tune 2 --model digits --method lrp-zplus --quiet --budget 2s --out killed.json --resume
says "--method was 'gradient'"
"$attrbench" tune "${digits[@]}" --budget 120s --out killed.json --resume >out 2>err &
pid=$!
for _ in $(seq 300); do
    [[ $(wc -l <killed.json.visits) -gt $before ]] && break
    sleep 0.1
done
kill -INT $pid
wait $pid
[[ $? == 130 ]] || fail "interrupted: not 130"
prints "so far: interrupted"
[[ $(wc -l <killed.json.visits) -ge $before ]] || fail "visits were lost"
pgrep -P $pid >/dev/null && fail "a process is left"

[[ $failures == 0 ]] || exit 1
echo "all as expected"
