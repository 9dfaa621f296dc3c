#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# attrbench doctor as users meet it: any user, one CPU, no /sys, odd OpenMP settings, strict JSON.
# AB_COMMAND: the binary.
set -uo pipefail
attrbench=${AB_COMMAND:?}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
cd "$tmp" || exit 1
failures=0

fail() { echo "FAILED: $*"; sed 's/^/    | /' err out 2>/dev/null | head -40; failures=$((failures + 1)); }
# code EXPECTED WORDS...: runs them, stdout and stderr in out and err.
code() {
    local expected=$1 got
    shift
    timeout 200 "$@" >out 2>err
    got=$?
    [[ $got == "$expected" ]] || fail "exit code $got, not $expected: $*"
}
says() { [[ $(wc -l <err) == 1 ]] && grep -qF -- "$1" err || fail "stderr is not one line with '$1'"; }
shows() { grep -qE -- "$1" out || fail "no line with '$1'"; }
# holds EXPRESSION: of the JSON in out, as d.
holds() {
    [[ -n $(command -v python3) ]] || return 0
    python3 - "$1" <<'EOF' || fail "not so: $1"
import json, sys
def refuse(word): raise ValueError(word)
d = json.load(open("out"), parse_constant=refuse)
sys.exit(0 if eval("(" + sys.argv[1] + ")") else 1)
EOF
}

# ---- usage ----
code 0 "$attrbench" doctor --help && shows 'usage: attrbench doctor'
code 2 "$attrbench" doctor --jsno && says "did you mean --json"
code 2 "$attrbench" doctor now && says "'now' is not an option"
code 2 "$attrbench" doctor --json=yes && says "takes no value"

# ---- for people ----
code 0 "$attrbench" doctor
[[ ! -s err ]] || fail "doctor talks on stderr"
for title in CPU System Clocks OpenMP Counters Neighbours Roofs Energy Meanwhile Advice; do
    shows "^$title"
done
shows '^  FMA plain +1 thread [0-9.]+ GFLOP/s'
shows '^  read memory '
[[ $(sed -n '/^Advice/,$p' out | wc -l) -le 7 ]] || fail "more than a handful of advice"
! awk 'length > 400' out | grep -q . || fail "a line that nobody reads"

# ---- for programs ----
code 0 env OMP_NUM_THREADS=64 "$attrbench" doctor --json
holds 'd["schema"] == 1 and d["context"]["cpu"]["isas"]'
holds 'all(d["counters"][c]["state"] in ("works", "dead", "absent") for c in ("cycles", "task-clock"))'
holds 'all(c["state"] == "works" or c["reason"] for c in d["counters"].values())'
holds 'd["roofs"]["fma_gflops"]["plain"]["1"] > 0'
holds 'd["clock"]["backwards"] is False and d["clock"]["cost_ns"] > 0 and d["clock"]["subnormal_factor"] > 0'
holds '"load_at_end" in d["context"]["system"]'
holds 'd["openmp"]["max_threads"] == 64 and any("64 threads" in a["finding"] for a in d["advice"])'
holds 'all(a["finding"] and a["remedy"] and a["weight"] > 0 for a in d["advice"])'
holds '[a["weight"] for a in d["advice"]] == sorted((a["weight"] for a in d["advice"]), reverse=True)'

# ---- one CPU, nobody's rights, no /sys: as far as this system lets them be arranged ----
around=(env OMP_THREAD_LIMIT=1)
hide='mount -t tmpfs none /sys'
hidden= single=
if [[ $(id -u) == 0 && -n $(command -v unshare) ]] && unshare -m sh -c "$hide" 2>/dev/null; then
    around+=(unshare -m sh -c "$hide && exec \"\$@\"" sh)
    hidden=1
fi
if [[ -n $(command -v taskset) ]]; then
    around+=(taskset -c "$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')")
    single=1
fi
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
if [[ $(id -u) == 0 && -n $(command -v setpriv) ]] && "${nobody[@]}" test -x "$attrbench"; then
    around+=("${nobody[@]}")
fi
code 0 "${around[@]}" "$attrbench" doctor --json
holds 'd["roofs"]["fma_gflops"]["plain"]["1"] > 0 and d["openmp"]["team_got"] == 1'
[[ -z $hidden ]] || holds 'all(d["system"][k] is None and d["system"][k + "_reason"]
                               for k in ("governor", "mitigations", "boost"))'
[[ -z $single ]] || holds 'len(d["cpu"]["usable"]) == 1 and
                           list(d["roofs"]["fma_gflops"]["plain"]) == ["1"]'

# ---- an output that cannot be written ----
if [[ -w /dev/full ]]; then
    timeout 100 "$attrbench" doctor --json >/dev/full 2>err
    [[ $? == 1 ]] || fail "a full disk is no error"
    says "standard output"
fi

[[ $failures == 0 ]] || { echo "$failures failed"; exit 1; }
echo "all passed"
