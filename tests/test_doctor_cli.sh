#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# attrbench doctor as users meet it: any user, one CPU, no /sys, odd OpenMP settings, strict JSON.
# AB_COMMAND: the binary.
. "$(dirname "${BASH_SOURCE[0]}")/cli_support.sh"
chmod 755 "$tmp"

# code EXPECTED WORDS...: runs them, stdout and stderr in out and err.
code() {
    local expected=$1 got
    shift
    timeout 200 "$@" >out 2>err
    got=$?
    [[ $got == "$expected" ]] || fail "exit code $got, not $expected: $*"
}
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
code 2 "$attrbench" doctor --aa 3 && says "even number"
code 2 "$attrbench" doctor --aa many && says "'many' will not do"
code 2 "$attrbench" doctor --aa -2 && says "'-2' will not do"
code 2 "$attrbench" doctor --db x.db && says "give --save too"
code 2 "$attrbench" doctor --aa 8 --save && says "--aa 20"
code 2 "$attrbench" doctor --aa 0 --kernels '*' && says "--kernels"
code 2 "$attrbench" doctor --aa 2 --kernels 'no_such*' --json && says "no_such"

# ---- for people ----
code 0 "$attrbench" doctor --aa 0
[[ ! -s err ]] || fail "doctor talks on stderr"
for title in CPU System Clocks OpenMP Counters Neighbours Roofs Energy Meanwhile Advice; do
    shows "^$title"
done
shows '^  FMA plain +1 thread [0-9.]+ GFLOP/s'
shows '^  read memory '
[[ $(sed -n '/^Advice/,$p' out | wc -l) -le 7 ]] || fail "more than a handful of advice"
! awk 'length > 400' out | grep -q . || fail "a line that nobody reads"

# ---- for programs ----
code 0 env OMP_NUM_THREADS=64 "$attrbench" doctor --aa 0 --json
holds 'd["schema"] == 1 and d["context"]["cpu"]["isas"]'
holds 'all(d["counters"][c]["state"] in ("works", "dead", "absent") for c in ("cycles", "task-clock"))'
holds 'all(c["state"] == "works" or c["reason"] for c in d["counters"].values())'
holds 'd["roofs"]["fma_gflops"]["plain"]["1"] > 0'
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
code 0 "${around[@]}" "$attrbench" doctor --aa 0 --json
holds 'd["roofs"]["fma_gflops"]["plain"]["1"] > 0 and d["openmp"]["team_got"] == 1'
[[ -z $hidden ]] || holds 'all(d["system"][k] is None and d["system"][k + "_reason"]
                               for k in ("governor", "mitigations", "boost"))'
[[ -z $single ]] || holds 'len(d["cpu"]["usable"]) == 1 and
                           list(d["roofs"]["fma_gflops"]["plain"]) == ["1"]'

# ---- noise floors ----
code 0 "$attrbench" doctor --aa 10 --kernels 'maxpool*' --save --db floors.db --json
holds 'd["noise"]["processes"] == 10 and d["noise"]["races"] >= 3'
holds 'd["noise"]["classes"]["kernel"]["turns_pairs"] == sum(
       c["turns_pairs"] for name, c in d["noise"]["classes"].items() if name != "kernel") >= 10'
holds 'all(0 < c["turns"] <= c["turns_worst"] * 1.5 and c["apart"] > 0
           for c in d["noise"]["classes"].values())'
holds 'd["noise"]["saved_to"] == "floors.db"'
[[ -s floors.db ]] || fail "no store was written"
if [[ -n $(command -v python3) ]]; then
    python3 - <<'EOF' || fail "the store does not hold the floors that were told"
import json, sqlite3, sys
told = json.load(open("out"))["noise"]["classes"]
kept = dict(sqlite3.connect("floors.db").execute("SELECT class, share FROM floor"))
sys.exit(0 if kept["kernel"] == told["kernel"]["turns"] and
         kept["kernel apart"] == told["kernel"]["apart"] and len(kept) == 2 * len(told) else 1)
EOF
fi
echo "no database" >foreign.db
code 1 "$attrbench" doctor --aa 10 --kernels 'maxpool*' --save --db foreign.db --json && says "foreign.db"
code 1 "$attrbench" doctor --aa 10 --kernels 'maxpool*' --save --db no/such/folder.db --json &&
    says "no/such/folder.db"

# ---- Ctrl-C and kill: what was found until then ----
"$attrbench" doctor --aa 200 --json >out 2>err &
sleep 4
kill -TERM $!
wait $!
got=$?
[[ $got == 130 ]] || fail "killed, it ended with $got"
holds 'd["context"]["interrupted"] is True and d["cpu"]["usable"] and "advice" in d'

# ---- an output that cannot be written ----
if [[ -w /dev/full ]]; then
    timeout 100 "$attrbench" doctor --aa 0 --json >/dev/full 2>err
    [[ $? == 1 ]] || fail "a full disk is no error"
    says "standard output"
fi

[[ $failures == 0 ]] || { echo "$failures failed"; exit 1; }
echo "all passed"
