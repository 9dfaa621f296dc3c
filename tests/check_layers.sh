#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Includes point downwards only. Run in the source tree.
set -euo pipefail
fail=0
complain() { echo "check_layers: $*" >&2; fail=1; }

# Prints "file header" for every #include "..." under the given files.
quoted() {
    grep -HoE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"[^"]+"' "$@" /dev/null |
        sed -E 's/:[[:space:]]*#[[:space:]]*include[[:space:]]+"/ /; s/"$//'
}

# allow LAYER REGEX FILES...: the files of a layer include only headers that match.
allow() {
    local layer=$1 regex=$2 file header
    shift 2
    while read -r file header; do
        # A header without a directory is one of the file's own directory.
        [[ $header == */* ]] || [[ ! -e $(dirname "$file")/$header ]] || continue
        [[ $header =~ ^($regex)$ ]] || complain "$file includes \"$header\": not below $layer"
    done < <(quoted "$@")
}

shopt -s nullglob
own='attrbench/attrbench\.h|ab_version\.h|ab_sources\.h'
kernels='simd/kernels\.(h|def)'
text() { find "$@" -name '*.[ch]' -o -name '*.def' -o -name '*.cc'; }

allow simd '' $(text simd)
allow base "$own|base/.*" $(text src/base)
allow model "$own|$kernels|(base|model)/.*|onnx\.pb-c\.h" $(text src/model)
allow method "$own|$kernels|(base|model|method)/.*" $(text src/method)
# plan/program.h is the language in which plans speak to backends; nothing else of plan/ is theirs.
allow backend "$own|attrbench/verify\.h|simd/.*|(base|model|method|backend)/.*|plan/program\.h" $(text src/backend)
allow plan "$own|$kernels|simd/isa\.def|(base|model|method|backend|plan)/.*" $(text src/plan)
allow sample "$own|$kernels|(base|model|method|plan|sample)/.*" $(text src/sample)
allow agree "$own|$kernels|(base|model|method|plan|sample|agree)/.*" $(text src/agree)
allow config "$own|$kernels|(base|model|method|plan|sample|config)/.*" $(text src/config)
# net.c builds networks, which is all that the validator knows of them.
allow verify 'attrbench/(attrbench|verify)\.h|simd/.*|base/.*|model/(graph|infer)\.h|verify/.*' $(text verify)
allow bench "$own|attrbench/verify\.h|simd/.*|(base|model|method|backend|plan|sample|agree|config|verify|bench)/.*" $(text bench)
allow examples 'attrbench/(attrbench|verify)\.h' $(text examples)

# libc alone in simd/, besides its own headers.
libc='assert|fenv|float|immintrin|arm_neon|cpuid|limits|math|stdalign|stdbool|stddef|stdint|string'
libc="$libc|sys/auxv|asm/hwcap"
while IFS=: read -r file line; do
    [[ $line =~ \<($libc)\.h\> ]] || complain "$file: $line: simd/ needs nothing but these: $libc"
done < <(grep -HE '^[[:space:]]*#[[:space:]]*include[[:space:]]+<' $(text simd))
for word in malloc calloc realloc free fopen printf pthread_create; do
    for file in $(grep -lE "\b$word\(" $(text simd) || true); do
        complain "$file calls $word: kernels neither allocate nor do I/O nor know threads"
    done
done

# only HEADER FILES-REGEX: who may include a foreign header.
only() {
    local file
    for file in $(grep -rlE "include[[:space:]]*[<\"]$1[>\"]" simd src verify bench include tests examples \
        --include='*.[ch]' --include='*.cc' || true); do
        [[ $file =~ ^($2)$ ]] || complain "$file includes $1: only $2 may"
    done
}
only '(oneapi/dnnl/)?dnnl[a-z_]*\.h' 'src/backend/onednn[a-z0-9_]*\.[ch]|examples/verify_onednn\.c'
only 'benchmark/benchmark\.h' 'bench/gbench\.cc'
only 'sqlite3\.h' 'bench/db[a-z_]*\.[ch]|tests/test_db[a-z_]*\.c'
only 'jansson\.h' 'src/config/[a-z_]+\.[ch]|bench/.*|tests/.*'
only 'onnx\.pb-c\.h' 'src/model/onnx[a-z0-9_]*\.[ch]'
only '(png|jpeglib|stb_[a-z_]+)\.h' 'src/base/[a-z0-9_]+\.c|tests/[a-z0-9_]+\.c|bench/[a-z0-9_]+\.c'

for file in $(git ls-files --cached --others --exclude-standard '*.cc' '*.cpp' '*.cxx' '*.hpp'); do
    [[ $file == bench/gbench.cc ]] || complain "$file: bench/gbench.cc is the only C++ file"
done

exit $fail
