#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The command as users meet it: good use, bad use, exit codes, one line on stderr, whole files.
# AB_COMMAND: the binary; AB_SOURCE_DIR: the tree.
. "$(dirname "${BASH_SOURCE[0]}")/cli_support.sh"
data=${AB_SOURCE_DIR:?}/data
digit=$data/digits/sample-3.png

json() { [[ -z $(command -v python3) ]] || python3 -m json.tool "$1" >/dev/null || fail "$1 is no JSON"; }
absent() { [[ ! -e $1 ]] || fail "$1 was left behind"; }
nothing_temporary() { ! ls -d "$1"/*.tmp >/dev/null 2>&1 || fail "temporary files left in $1"; }
run_digits() { code "$1" run --model digits --method lrp-zplus --time 0.02 --out o "${@:2}"; }

# ---- help, lists ----
code 0 --help && grep -q '^  run ' out || fail "help names no commands"
code 0 --version && grep -q 'instruction sets' out || fail "version"
for c in run explain methods models kernels backends; do
    code 0 $c --help
    grep -q "usage: attrbench $c" out || fail "$c --help"
done
for c in methods models kernels backends; do
    code 0 $c
    [[ -s out && ! -s err ]] || fail "$c prints nothing"
    code 0 $c --json
    json out
done
code 2
says "no command"
code 2 rnu
says "did you mean 'run'"
code 2 run --modle x
says "did you mean --model"
code 2 methods --jsno
says "did you mean --json"

code 0 methods && grep -q 'cost: 2F+2B; other tools: zennit' out || fail "methods tells no costs"
code 0 run --model digits --benchmark_list_tests && [[ $(grep -c '/native/' out) == 11 ]] ||
    fail "run without --method is not the eleven usual methods"
code 0 run --benchmark_list_tests && [[ $(grep -c '^digits/.*/native/' out) == 11 ]] ||
    fail "run alone is not eleven methods on digits"
[[ $(sed -n 's,^vgg16/\(.*\)/native/.*,\1,p' out | xargs) == \
    "gradient guided-backprop rectgrad lrp-epsilon lrp-zplus" ]] ||
    fail "run alone is not its five methods on vgg16: $(grep vgg16 out)"
code 0 run --method lrp-0,gradient --benchmark_list_tests
[[ $(grep -c '^vgg16/.*/native/' out) == 2 ]] || fail "--method alone is not on both networks"
code 0 methods --json && all=$(grep -c '"needs": null' out)
code 0 run --model digits --method all --benchmark_list_tests
[[ $(grep -c '/native/' out) == "$all" ]] || fail "--method all is not all $all methods that need no parameters"

# ---- several targets ----
code 0 explain --model digits --input "$digit" --method gradient,lrp-zplus --target top3 --out t3
[[ $(ls t3 | grep -c 'gradient.class[0-9].npy') == 3 && $(ls t3 | wc -l) == 13 ]] ||
    fail "--target top3 wrote $(ls t3)"
[[ -s t3/contact.png ]] || fail "no contact.png"
[[ $(grep -c 'explains class' err) == 3 ]] || fail "--target top3 names no three classes"
code 0 explain --model digits --input "$digit" --target 3,7,top --out one.npy
ls one.class3.npy one.class7.npy >/dev/null || fail "--target 3,7,top wrote $(ls one.*)"
code 0 run --model digits --method gradient --target top3 --time 0.02 --out o3
grep -q '"target":"top3","targets":3' o3/results.jsonl || fail "records do not name the targets"
code 2 run --model digits --method gradient --target top11 --out o
says "at most top10"
code 2 run --model digits --method gradient --target 3,3 --out o
says "name each class once"
code 2 run --model digits --method gradient --target 3,, --out o
says "top5"
code 2 explain --model digits --input "$digit" --method gradient:seed=contrast,against=10 --out x.npy
says "classes 0 to 9"

# ---- maps of layers, class activation maps ----
code 0 explain --model digits --input "$digit" --method lrp-zplus --at features.4 --out layer
[[ -s layer/sample-3.lrp-zplus.npy && -s layer/sample-3.lrp-zplus.png ]] || fail "no map of a layer"
code 2 explain --model digits --input "$digit" --at featres.4 --out x.npy
says "did you mean 'features.4'"
code 0 run --model digits --method gradient,input-x-gradient --at features.4 --time 0.02 --out oat
code 0 run --model digits --method grad-cam,guided-grad-cam,grad-cam++,layer-cam,edges,beta-smooth \
    --target top2 --time 0.02 --out ocam

# ---- run: wrong usage ----
code 2 run --method gradiant
says "did you mean 'gradient'"
code 2 run --model vgg61
says "vgg16"
code 2 run --backend naitve
says "native"
code 2 run --backend native:avx3
says "avx"
code 2 run --batch 0
says "batch"
code 2 run --threads 1,x
says "threads"
code 2 run --time soon
says "duration"
code 2 run --memory fat
says "give fast|lean"
code 2 run --cache warm
says "give hot|cold"
code 2 run --denormals zero
says "give keep|flush"
code 2 run --cache
says "--cache"
code 2 explain --model digits --input "$digit" --out x.png --algo winograd
says "give auto|direct"
code 2 run --benchmark_fliter=x
says "--benchmark_filter"
code 2 run --benchmark_min_time=never
says "seconds"
code 2 run --kernels 'conv2d*'
says "--shapes"
code 2 run --model digits --target 10 --out o
says "0 to 9"
code 2 run --model digits --preprocess imagenet --out o
says "channels"
run_digits 2 --benchmark_filter=nothing_has_this_name
says "benchmark_list_tests"

# ---- run: files that are not what they should be ----
head -c 3000 "$data/digits/digits.onnx" >cut.onnx
head -c 3000 /dev/urandom >noise.onnx
: >empty.onnx
for m in cut.onnx noise.onnx empty.onnx ./missing.onnx "$digit"; do
    code 1 run --model "$m" --out o
    says "$(basename "$m")"
done
code 1 run --model digits --input missing.png --out o
says "missing.png"
code 1 run --model digits --out /dev/null/x
says "/dev/null"
absent attrbench-out

# ---- run: good use ----
run_digits 0 --backend native,reference
grep -q 'agree' out || fail "no verdict"
[[ -s o/maps.png && -s o/results.jsonl ]] || fail "files of a run"
json o/results.json
nothing_temporary o
run_digits 0 --backend native --json
json out
run_digits 0 --backend native --batch 2 --threads 1,2 --no-agree --profile
grep -q 'steps of one execution' out || fail "no profile"
grep -q 'passes over the linear layers: [0-9.]* forward' out || fail "no count of passes"
grep -qE '"kind":"step".*"samples":([4-9]|[1-6][0-9]),' o/results.json || fail "steps have no samples"
grep -qE '"kind":"step".*"disturbed":[0-9]+,"disturbed_at":' o/results.json || fail "steps tell no disturbances"
together() { code 0 run --model digits --backend native --no-agree --time 0.02 --out o "$@"; }
together --threads 1,2 --method gradient,lrp-zplus,dtd --profile
(($(grep -c '3 methods in one plan' out) == 2)) || fail "no joint time for each number of threads"
grep -q '3 methods, native, 1 thread: steps of one execution' out || fail "no profile of all methods"
grep -qE 'dense_[a-z0-9]+ x[0-9]+' out || fail "no gang in the profile"
grep -q 'with step' out || fail "no step of a gang in the profile"
grep -q '"kind":"joint".*"sum_single_ns":[0-9.e+]*,"joint_ratio":[0-9.]*' o/results.json || fail "no joint record"
together --no-joint --method gradient,lrp-zplus
! grep -q 'in one plan' out || fail "--no-joint times all methods in one plan"
! grep -q '"kind":"joint"' o/results.json || fail "--no-joint stores a joint record"
run_digits 0 --backend native --algo direct --memory lean
grep -q '"memory":"lean"' o/results.json || fail "no memory mode in the record"
grep -q 'winograd' o/results.json && fail "a lean plan runs Winograd"
run_digits 0 --backend native --cache cold --denormals flush --threads 1,2
grep -q ', cold caches, subnormals flushed' out || fail "the table does not tell its conditions"
grep -q 'a line takes [0-9]* ns after eviction' err || fail "eviction is not measured"
grep -q '"line_cold_ns": [0-9]' o/results.json || fail "eviction is not in the context"
grep -q '^core clock: ' out || fail "no clock of the core"
[[ $(grep -c '"cache":"cold","denormals":"flush","calls_per_slice":1,"disturbed":[0-9]' o/results.json) == 2 ]] ||
    fail "no conditions in the records"
grep -q -- "--cache 'cold' --denormals 'flush'" o/results.json || fail "conditions are not in repro"
! grep -q '"verdict":"disagree"' o/results.json || fail "flushing makes maps wrong"
run_digits 0
grep -q '"cache":"hot","denormals":"keep","calls_per_slice":[1-9]' o/results.json || fail "no usual conditions"
grep -qE '"steady":(true|false)' o/results.json || fail "steadiness is not told"
grep -qE '"subnormals":\{"input":0,"maps":0\}' o/results.json || fail "subnormals are not counted"
run_digits 0 --backend native --benchmark_out=gb.json --benchmark_out_format=json \
    --benchmark_min_time=0.02s --benchmark_repetitions=2
json gb.json
grep -q '"repetitions": 2' gb.json || fail "Google Benchmark's file"
run_digits 0 --benchmark_list_tests
grep -q '^digits/lrp-zplus/native/threads:1/batch:1' out || fail "no list of rows"
run_digits 0 --benchmark_filter=/native/
! grep -q ' onednn' out || fail "the filter let oneDNN's row pass"
echo 'n1c16h12w12o16k3s1p1 small' >shapes.txt
code 0 run --kernels 'conv2d_plain' --shapes shapes.txt --time 0.02 --out k
json k/results.json
grep -q '^\* conv2d_plain' out || fail "the kernel's line or its mark"
kernels() { code "$1" run --kernels 'conv2d*' --time 0.01 --out k "${@:2}"; }
kernels 0 --shapes shapes.txt --backend native --batch 1,2
json k/results.json
grep -q 'batch 2' out || fail "no summary of batch 2"
! grep -q '_plain\|_ref ' out || fail "baselines are timed unasked"
grep -q 'oneDNN was not timed' out || fail "oneDNN is timed unasked"
grep -q '^| small | n2c16h12w12o16k3s1p1 | 1 | bwd |' k/kernels.md || fail "no line of the layer"
grep -q '"picked": *true' k/results.json || fail "no kernel is picked"
nothing_temporary k
if "$attrbench" backends | grep -q '^onednn'; then
    kernels 0 --shapes shapes.txt --json
    json out
    grep -q '"summary"' out || fail "no summary in the context"
    grep -q '"backend": *"onednn"' out || fail "no row of oneDNN"
    grep -q '"onednn_isa": *"[A-Z]' out || fail "oneDNN's instruction set"
    grep -q '"ratio_geomean": *[0-9]' out || fail "no mean ratio"
    if "$attrbench" backends | grep -q 'native:avx512'; then
        kernels 0 --shapes shapes.txt --backend native:avx2,onednn
        grep -q '"onednn_isa": *"AVX2"' k/results.json || fail "oneDNN is not held to AVX2"
        ! grep -q 'oneDNN.*avx512' out || fail "oneDNN runs AVX-512 against AVX2 kernels"
    fi
    ONEDNN_MAX_CPU_ISA=SSE41 kernels 0 --shapes shapes.txt
    [[ $(uname -m) != x86_64 ]] || grep -q 'ONEDNN_MAX_CPU_ISA=SSE41' err ||
        fail "a different cap from the environment is not told"
fi
kernels 2 --shapes shapes.txt --backend native:plain,native
says "run once for each"
kernels 2 --shapes shapes.txt --backend native:avx3,onednn
says "unknown instruction set"
kernels 2 --shapes shapes.txt --backend reference
says "native:ISA"
kernels 2 --shapes shapes.txt --backend onednn
says "add native"
kernels 2 --shapes shapes.txt --batch 0
says "--batch"
kernels 2 --shapes shapes.txt --threads 2
says "--threads"
kernels 2 --shapes shapes.txt --model vgg16
says "--model"
kernels 2 --shapes shapes.txt --backend native:nonsense
says "nonsense"
kernels 1 --shapes missing.txt
says "missing.txt"
echo 'n1c16h12w12o16' >bad.txt
code 1 run --kernels 'conv2d*' --shapes bad.txt --out k
says "bad.txt:1"
code 2 run --kernels 'nothing*' --shapes shapes.txt --out k
says "attrbench kernels"

kernels 0 --shapes shapes.txt --backend native --cache cold
grep -q 'cold cache;' out || fail "kernels do not tell their cache state"
grep -q '"cache":"cold","denormals":"keep","calls_per_slice":1,' k/results.json || fail "cold kernels"
echo 'n1c4h6w6o4k3s1p1 tiny' >tiny.txt # short where everything is instrumented, too
kernels 0 --shapes tiny.txt --backend native
grep -qE '"cache":"hot","denormals":"keep","calls_per_slice":([2-9]|[1-9][0-9])' k/results.json ||
    fail "short kernels are not called several times a sample"

# ---- subnormal numbers ----
if [[ -n $(command -v python3) ]]; then
    python3 - <<'PYTHON'
import struct
header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 28, 28), }"
header += ' ' * (117 - len(header)) + '\n'
values = [1e-40] * 100 + [0.5] * 684
with open('tiny.npy', 'wb') as f:
    f.write(b'\x93NUMPY\x01\x00' + len(header).to_bytes(2, 'little') + header.encode())
    f.write(struct.pack('<784f', *values))
PYTHON
    for mode in keep flush; do
        code 0 run --model digits --method input-x-gradient --input tiny.npy --denormals $mode --time 0.02 --out o
        grep -q '"subnormals":{"input":100,' o/results.json || fail "subnormal inputs are not counted"
        ! grep -q '"verdict":"disagree"' o/results.json || fail "--denormals $mode makes maps wrong"
        grep '"backend":"native"' o/results.json | grep -o '"maps":[0-9]*}' >maps.$mode
    done
    grep -q '"maps":0}' maps.flush || fail "subnormal numbers are in flushed maps: $(cat maps.flush)"
    ! grep -q '"maps":0}' maps.keep || fail "no subnormal numbers are in maps: $(cat maps.keep)"
fi

# ---- an interruption keeps what is finished ----
timeout 200 "$attrbench" run --model digits --time 0.5 --backend native --out i >out 2>err &
pid=$!
for _ in $(seq 200); do
    [[ $(cat i/results.jsonl 2>/dev/null | wc -l) -ge 2 ]] && break
    sleep 0.1
done
kill -INT $pid # timeout passes it on
wait $pid
[[ $? == 130 ]] || fail "exit code after an interruption"
json i/results.json
grep -q '"interrupted": true' i/results.json || fail "not labelled as interrupted"
grep -q '"kind": *"method"' i/results.json || fail "finished rows are lost"
nothing_temporary i

# ---- output that cannot be written ----
[[ -c /dev/full ]] && for c in methods "run --model digits --method lrp-zplus --time 0.02 --out o --json"; do
    # shellcheck disable=SC2086
    timeout 200 "$attrbench" $c >/dev/full 2>err
    [[ $? == 1 ]] || fail "a full disk goes unnoticed: $c"
    grep -q 'standard output' err || fail "a full disk is not told: $c"
done

# ---- explain ----
explain() { code "$1" explain --model digits "${@:2}"; }
explain 0 --input "$digit" --out a.npy
[[ $(head -c 6 a.npy | tail -c 5) == NUMPY && $(stat -c %s a.npy) == $((128 + 28 * 28 * 4)) ]] ||
    fail "a.npy is no array of 28 x 28 floats"
grep -q 'class 3' err || fail "the class is not told"
explain 0 --input a.npy --out b.npy
explain 0 --input "$digit" --target 5 --method lrp-zplus,gradient --out two.png
[[ -s two.lrp-zplus.png && -s two.gradient.png ]] || fail "a file for each method"
explain 0 --input "$data/digits" --method all --out folder
[[ $(ls folder/*.npy | wc -l) -ge 100 && -s folder/sample-3.rectgrad.png ]] || fail "a folder"
explain 0 --input "$digit" --backend reference --out r.npy
explain 2 --input "$digit" --out x.jpg
says "ending"
explain 2 --input "$digit" --out /dev/full
says "/dev/full"
explain 2 --input "$digit" --target 11 --out x.npy
says "0 to 9"
explain 2 --input "$digit" --target three --out x.npy
says "three"
explain 2 --input "$digit" --method 'rectgrad:p=3' --out x.npy
says "p"
explain 2 --input "$digit" --method 'rectgrad:q=200' --out x.npy
says "q"
explain 2 --input "$digit"
says "--out"
explain 1 --input missing.png --out x.npy
says "missing.png"
explain 1 --input "$digit" --out /nonexistent/x.npy
says "/nonexistent"
explain 1 --input "$data/digits/labels.txt" --out x.npy
says "labels.txt"
head -c 200 "$digit" >cut.png
explain 1 --input cut.png --out x.png
says "cut.png"
head -c 500 a.npy >cut.npy
explain 1 --input cut.npy --out x.npy
says "cut.npy"
if [[ -n $(command -v python3) ]]; then
    python3 - <<'PYTHON'
header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 27, 28), }"
header += ' ' * (117 - len(header)) + '\n'
with open('shape.npy', 'wb') as f:
    f.write(b'\x93NUMPY\x01\x00' + len(header).to_bytes(2, 'little') + header.encode())
    f.write(bytes(27 * 28 * 4))
PYTHON
    code 1 explain --model digits --input shape.npy --out x.npy
    says "shape.npy"
fi
absent x.npy
absent x.png
nothing_temporary .

[[ $failures == 0 ]] && echo "all passed"
exit $((failures > 0))
