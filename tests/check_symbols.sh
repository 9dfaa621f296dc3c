#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the library shows the linker, and that its header compiles alone.
# Usage: check_symbols.sh SOURCE_DIR LIBRARY CC CXX NM; kernel objects, one a line, on stdin.
set -euo pipefail
source_dir=$1 library=$2 cc=$3 cxx=$4 nm=$5
fail=0
complain() { echo "check_symbols: $*" >&2; fail=1; }

# Compilers' own helpers (sanitizers, hidden thunks) are no names of ours.
foreign=$("$nm" -g --defined-only "$library" 2>/dev/null |
    awk 'NF == 3 && $3 !~ /^(ab_|__odr_asan|\.omp|__asan|__tsan|__ubsan|__clang|DW\.)/ { print $3 }' |
    sort -u)
[[ -z $foreign ]] || complain "global symbols that do not start with ab_:" $foreign

while read -r object; do
    symbols=$("$nm" -g --defined-only "$object" |
        awk '$3 !~ /^(__odr_asan|DW\.)/ { print $3 }' | xargs)
    target=$(sed -E 's|.*/(ab_[a-z0-9_]+)\.dir/.*|\1|' <<<"$object")
    [[ $symbols == "$target" ]] ||
        complain "$object: global symbols are '$symbols', should be $target alone"
done

for header in "$source_dir"/include/attrbench/*.h; do
    name=attrbench/$(basename "$header")
    echo "#include \"$name\"" | "$cc" -std=c17 -Wall -Wextra -Wpedantic -Werror \
        -I"$source_dir/include" -fsyntax-only -xc - || complain "$name does not compile alone as C"
    if command -v "$cxx" >/dev/null; then
        echo "#include \"$name\"" | "$cxx" -std=c++11 -Wall -Wextra -Wpedantic -Werror \
            -I"$source_dir/include" -fsyntax-only -xc++ - ||
            complain "$name does not compile alone as C++"
    fi
done

exit $fail
