#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the .def lists name exists, and nothing that should be listed is not. Run in the source tree.
set -euo pipefail
fail=0
complain() { echo "check_lists: $*" >&2; fail=1; }

# Prints the file of every kernel in simd/kernels.def.
kernel_files() {
    sed -nE -e 's/^AB_KERNEL\(([a-z0-9_]+), ([a-z0-9]+), .*/\1_\2.c/p' \
            -e 's/^AB_VARIANT\(([a-z0-9_]+), ([a-z0-9]+), ([a-z0-9_]+), .*/\1_\2_\3.c/p' \
            -e 's/^AB_PLAIN\(([a-z0-9_]+), .*/\1_plain.c/p' simd/kernels.def | sort -u
}

isas=$(sed -nE 's/^AB_ISA\(([a-z0-9]+), .*/\1/p' simd/isa.def | paste -sd'|')
present=$(cd simd && ls | grep -E "_($isas)(_[a-z0-9_]+)?\.c$" | sort)
for file in $(comm -13 <(kernel_files) <(echo "$present")); do
    complain "simd/$file looks like a kernel but simd/kernels.def does not list it"
done
for file in $(comm -23 <(kernel_files) <(echo "$present")); do
    complain "simd/kernels.def lists a kernel whose file simd/$file is missing"
done

# A method is the file that defines ab_method_<its own name>.
for name in $(sed -nE 's/^AB_METHOD\(([a-z0-9_]+)\).*/\1/p' src/method/methods.def); do
    grep -qs "ab_method_$name\b" "src/method/$name.c" ||
        complain "src/method/methods.def lists $name, but src/method/$name.c does not define it"
done
for file in src/method/*.c; do
    name=$(basename "$file" .c)
    if grep -qE "^const struct ab_method[a-z_]* ab_method_$name\b" "$file" &&
        ! grep -q "^AB_METHOD($name)" src/method/methods.def; then
        complain "$file defines a method that src/method/methods.def does not list"
    fi
done

for name in $(sed -nE 's/^AB_BACKEND\(([a-z0-9_]+)\).*/\1/p' src/backend/backends.def); do
    ls "src/backend/$name"*.c >/dev/null 2>&1 ||
        complain "src/backend/backends.def lists $name, but there is no src/backend/$name*.c"
done

# An experiment of `attrbench theory` is the file that defines ab_experiment_<its own name>.
listed=$(sed -nE 's/^AB_EXPERIMENT\(([a-z0-9_]+)\).*/\1/p' bench/theory.def | sort)
defined=$(grep -hoE '^const struct ab_experiment ab_experiment_[a-z0-9_]+' bench/theory_*.c |
    sed 's/.*ab_experiment_//' | sort)
for name in $(comm -3 <(echo "$listed") <(echo "$defined")); do
    complain "experiment $name is either in bench/theory.def or defined in bench/theory_*.c, not both"
done
for name in $defined; do
    grep -qs "ab_experiment_$name\b" "bench/theory_$name.c" ||
        complain "experiment $name belongs in bench/theory_$name.c"
done

# Builders of networks: each ab_net_<name> that is defined is listed, and the reverse.
listed=$(sed -nE 's/^AB_MODEL\(([a-z0-9_]+),.*/\1/p' src/model/models.def | sort)
defined=$(sed -nE 's/^int ab_net_([a-z0-9_]+)\(.*/\1/p' src/model/net_*.c | sort)
for name in $(comm -3 <(echo "$listed") <(echo "$defined")); do
    complain "network $name is either listed in src/model/models.def or built in net_*.c, not both"
done

# A seeded bug is the function ab_bug_<operation>_<name> of verify/bug_*.c.
listed=$(sed -nE 's/^AB_BUG\(([a-z0-9_]+), ([a-z0-9_]+),.*/\1_\2/p' verify/bugs.def | sort)
defined=$(cat verify/bug_*.c | grep -oE '^(void |FUNCTION\()ab_bug_[a-z0-9_]+' |
    sed -E 's/.*ab_bug_//' | grep -v '^sound_' | sort -u)
for name in $(comm -3 <(echo "$listed") <(echo "$defined")); do
    complain "bug $name is either in verify/bugs.def or defined in verify/bug_*.c, not both"
done

exit $fail
