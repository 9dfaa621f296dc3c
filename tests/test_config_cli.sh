#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# attrbench explain --config, and examples/deploy.c: what a configuration says is what is run, on its
# machine alone. AB_COMMAND: the binary; AB_SOURCE_DIR: the tree; AB_BUILD_DIR: what was built.
. "$(dirname "${BASH_SOURCE[0]}")/cli_support.sh"
data=${AB_SOURCE_DIR:?}/data
digit=$data/digits/sample-3.png

# config FILE DEPLOY [METHOD]: with the identity and the hash at hand.
cpu='?' architecture='?' isas='ref' cpus=999 hash=0000000000000000
free='"place": "free", "threads": 1, "instances": 1, "batch": 1'
config() {
    cat >"$1" <<EOF
{"attrbench_config": 1, "model": "$data/digits/digits.onnx", "model_hash": "$hash",
 "method": "${3:-lrp-zplus}",
 "machine": {"cpu": "$cpu", "architecture": "$architecture", "isas": ["${isas//, /\", \"}"], "cpus": $cpus},
 "deploy": {"backend": "native", "algo": "auto", "memory": "fast", "pages": "huge", "denormals": "keep",
            $2},
 "measured": {"p99_ms": 1.5}}
EOF
}
explain() { code "$1" explain --config deploy.json --input "$digit" "${@:2}"; }

# ---- another machine, another model: refused, and the line says what is here ----
config deploy.json "$free"
explain 1 --out map.npy
says "made on another machine"
says "attrbench tune --config deploy.json --out NEW.json"
here() { sed -nE "s/.*$1: '[^']*', here '([^']*)'.*/\1/p" err; }
cpu=$(here CPU) architecture=$(here architecture) isas=$(here 'instruction sets')
cpus=$(sed -nE 's/.*usable CPUs: [0-9]+, here ([0-9]+).*/\1/p' err)
[[ $architecture == "$(uname -m)" && $isas == ref,* && $cpus -ge 1 ]] || fail "the line does not say what is here"
config deploy.json "$free"
explain 1 --out map.npy
says "no longer what this was made for"
hash=$(sed -nE 's/.*its content is ([0-9a-f]{16}),.*/\1/p' err)
config deploy.json "$free"

# ---- the same maps as by options, whatever the knobs ----
for method in lrp-zplus gradient; do
    code 0 explain --model digits --input "$data/digits" --method $method --out want
    i=0
    for knobs in "$free" \
        '"place": "free", "threads": 2, "instances": 1, "batch": 4' \
        "\"place\": \"cores\", \"threads\": 1, \"instances\": 1, \"batch\": 3, \"cpus\": [[$(taskset -cp $$ | sed -E 's/.*: *([0-9]+).*/\1/')]]"; do
        i=$((i + 1))
        config deploy.json "$knobs" $method
        code 0 explain --config deploy.json --input "$data/digits" --out "got$i"
        diff -rq want "got$i" >/dev/null || fail "$method with $knobs: other files than without a configuration"
    done
    rm -rf want got*
done
[[ $(ls "$data/digits"/*.png | wc -l) -gt 3 ]] || fail "too few images to fill a batch twice"
config deploy.json "$free"
explain 0 --target top3 --at features.4 --out layers
[[ $(ls layers | grep -c 'class[0-9].npy') == 3 ]] || fail "--target and --at beside --config"

# ---- what contradicts it ----
for option in "--model digits" "--method gradient" "--backend native" "--threads 2" "--algo auto" \
    "--memory lean" "--pages huge" "--denormals keep"; do
    # shellcheck disable=SC2086
    explain 2 $option --out map.npy
    says "${option% *} and --config deploy.json both say it"
done
code 2 explain --input "$digit" --out map.npy
says "--model M is missing"

# ---- files that are none, knobs that cannot be ----
for file in "$digit" "$data/digits/digits.onnx" missing.json .; do
    code 1 explain --config "$file" --input "$digit" --out map.npy
    says "$(basename "$file")"
done
head -c 200 deploy.json >cut.json
code 1 explain --config cut.json --input "$digit" --out map.npy
says "cut.json: line"
config deploy.json "${free/1, \"inst/0, \"inst}"
explain 1 --out map.npy
says "deploy.threads: 0 is outside 1..1024"
config deploy.json '"place": "cores", "threads": 1, "instances": 1, "batch": 1, "cpus": [[1023]]'
explain 1 --out map.npy
says "may not use CPU 1023"
[[ ! -e map.npy ]] || fail "a refused configuration wrote a map"

# ---- from C ----
example=$AB_BUILD_DIR/examples/deploy
if [[ -x $example ]]; then
    config deploy.json '"place": "free", "threads": 1, "instances": 2, "batch": 2'
    cp "$data/digits"/sample-*.png .
    "$example" deploy.json sample-*.png >out 2>err || fail "examples/deploy"
    code 0 explain --model digits --input "$data/digits" --method lrp-zplus --out want
    for image in sample-*.png; do
        cmp -s "$image.npy" "want/${image%.png}.lrp-zplus.npy" || fail "examples/deploy: $image has another map"
    done
    config deploy.json "$free" gradient
    sed -i 's/"cpu": "/"cpu": "no /' deploy.json
    "$example" deploy.json sample-3.png >out 2>err && fail "examples/deploy on another machine"
    says "made on another machine"
else
    echo "examples/deploy was not built: not tried"
fi

# ---- pages and denormals by options ----
code 0 explain --model digits --input "$digit" --pages small --denormals flush --out map.npy
code 2 explain --model digits --input "$digit" --pages large --out map.npy
says "give huge|small"
code 0 run --model digits --method gradient --backend native --pages small --time 0.02 --out o
grep -q '"pages":"small"' o/results.json || fail "no pages in the records"
grep -q -- "--pages 'small'" o/results.json || fail "pages are not in repro"
grep -q ', small pages' out || fail "the table does not tell the pages"
code 2 run --kernels 'conv2d*' --shapes "$data/shapes/vgg16.txt" --pages small --out k
says "--pages"

# ---- networks at other sizes ----
code 0 models && prints "NAME@HEIGHTxWIDTH"
code 0 explain --model resnet18@64x96 --input "$data/images/chelsea.png" --out small.npy
[[ $(wc -c <small.npy) == $((128 + 4 * 3 * 64 * 96)) ]] || fail "the map is not 3x64x96: $(wc -c <small.npy) bytes"
code 2 explain --model vgg16@300 --input "$data/images/chelsea.png" --out x.npy
says "224-255, 448-479"

exit $((failures > 0))
