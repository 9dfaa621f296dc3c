#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run --save and --resume, export, import: what is kept, killed, gone on with, refused.
# AB_COMMAND: the binary.
. "$(dirname "${BASH_SOURCE[0]}")/cli_support.sh"

# rows FILE: records in a results.json or an export of one run.
rows() { grep -c '"kind":' "$1"; }
quick=(run --model digits --backend native,reference --no-agree)
run_digits() { code "$1" "${quick[@]}" --time 0.01 --out o "${@:2}"; }
two='gradient,lrp-zplus'
long=gradient,guided-backprop,rectgrad,lrp-epsilon,lrp-zplus,dtd
# all: its rows: six methods by two backends, and native with all methods at once
all=13

# ---- saved as it is in results.json ----
run_digits 0 --method $two --save main --db s.db
prints "saved: s.db: run main (#1), $(rows o/results.json) rows"
[[ ! -e s.db-wal && ! -e s.db-shm ]] || fail "files beside the store"
code 0 export main --db s.db
cp out main.json
[[ $(rows main.json) == "$(rows o/results.json)" ]] || fail "rows of the export"
for word in '"samples_ns":[' '"name": "main"' '"command": [' '"fingerprint": "'; do
    grep -qF "$word" main.json || fail "no $word in the export"
done
for list in samples_ns disturbed_at; do
    grep -o "\"$list\":\[[^]]*\]" main.json >a
    grep -o "\"$list\":\[[^]]*\]" o/results.json >b
    [[ -s a ]] && cmp -s a b || fail "$list is not that of results.json"
done

# ---- where the store is ----
ATTRBENCH_DB=$tmp/e.db run_digits 0 --method gradient --backend native --save main
[[ -s e.db ]] || fail "ATTRBENCH_DB is not heard"
run_digits 0 --method gradient --backend native --save main
[[ -s attrbench.db ]] || fail "no attrbench.db in the current folder"
run_digits 0 --method gradient --backend native
! grep -q saved out || fail "saved unasked"

# ---- killed and gone on with ----
for after in 2 7; do
    rm -rf k k.db*
    "$attrbench" "${quick[@]}" --method $long --time 0.05 --out k --save night --db k.db >out 2>err &
    pid=$!
    for _ in $(seq 400); do
        [[ -e k/results.jsonl && $(wc -l <k/results.jsonl) -ge $after ]] && break
        sleep 0.02
    done
    kill -9 $pid
    wait $pid 2>/dev/null
    code 0 export night --db k.db
    grep -q '"finished": null' out || fail "a killed run is finished"
    before=$(rows out)
    ((before >= after - 2)) || fail "only $before rows outlived the process"
    grep '"kind":"method"' out | sed 's/"key".*//' | sort >was
    code 0 run --resume $([[ $after == 2 ]] && echo night || echo '#1') --db k.db
    grep -q 'rows are there already' err || fail "what is there is not told"
    prints "run night (#1), $all rows"
    [[ $(rows k/results.json) == "$all" ]] || fail "results.json has $(rows k/results.json) rows"
    prints '6 methods in one plan'
    code 0 export night --db k.db
    ! grep -q '"finished": null' out || fail "a run gone on with is not finished"
    sed 's/"key".*//' out | sort >is
    # The last group may have been half there.
    (($(comm -23 was is | wc -l) <= 3)) || fail "rows that were there were measured again"
done
code 2 run --resume night --db k.db
says "is finished"
code 2 run --resume night --db absent.db
says "'night': no such file or run: there is no store absent.db"
code 2 run --resume '#7' --db k.db
says "no such run"
code 2 run --resume nihgt --db k.db
says "did you mean 'night'"
code 2 run --resume night --db k.db --method gradient
says "leave out --method"
code 2 run --resume night --db k.db --benchmark_filter=x
says "leave out --benchmark_filter"

# ---- an interruption is no kill ----
timeout 200 "$attrbench" "${quick[@]}" --method $long --time 0.05 --out i --save stop --db i.db >out 2>err &
pid=$!
for _ in $(seq 400); do
    [[ -e i/results.jsonl && $(wc -l <i/results.jsonl) -ge 2 ]] && break
    sleep 0.02
done
kill -INT $pid
wait $pid
[[ $? == 130 ]] || fail "exit code after an interruption"
grep -q 'attrbench run --resume stop --db i.db' out err || fail "how to go on is not told"
code 0 run --resume stop --db i.db --out i2
[[ $(rows i2/results.json) == "$all" ]] || fail "an interrupted run is not completed"

# ---- single convolutions ----
printf 'n1c16h12w12o16k3s1p1 %s\n' one two three four >shapes.txt
"$attrbench" run --kernels 'conv2d_*' --shapes shapes.txt --backend native --time 0.05 --out c --save conv \
    --db c.db >out 2>err &
pid=$!
for _ in $(seq 400); do
    [[ -e c/results.jsonl ]] && grep -q two c/results.jsonl && break
    sleep 0.02
done
kill -9 $pid
wait $pid 2>/dev/null
code 0 run --resume conv --db c.db
prints 'one, forward: there already'
! grep -q 'four, backward-data: there' out || fail "what was not measured is there"
[[ $(grep -c '^| n1c16h12w12o16k3s1p1\|^| one\|^| two\|^| three\|^| four' c/kernels.md) == 8 ]] ||
    fail "kernels.md has not all passes"
[[ $(grep -o '"picked":true' c/results.json | wc -l) == 8 ]] || fail "results.json has not all passes"

# ---- two at once ----
for n in 1 2; do
    "$attrbench" "${quick[@]}" --method $two --time 0.05 --out p$n --save p$n --db p.db >p$n.out 2>&1 &
done
wait
grep -q 'saved: p.db: run p1' p1.out && grep -q 'saved: p.db: run p2' p2.out || fail "two writers at once"

# ---- stores that are none ----
run_digits 2 --method gradient --save 'a b' --db s.db
says "cannot be a run's name"
printf 'no database at all, but long enough to be looked at' >text.db
run_digits 1 --method gradient --save x --db text.db
says "text.db: no SQLite database"
run_digits 1 --method gradient --save x --db .
says "not a file"
run_digits 1 --method gradient --save x --db nowhere/s.db
says "nowhere/s.db"
head -c 9000 s.db >cut.db
run_digits 1 --method gradient --save x --db cut.db
says "cut.db: damaged"
code 1 export --db absent.db
says "absent.db"
code 2 export night --db absent.db
says "'night': no such file or run: there is no store absent.db"
code 2 export nothing --db s.db
says "its runs: main"
run_digits 2 --benchmark_filter=nothing --save x --db s.db
code 2 export x --db s.db # a run without rows is not left behind

# ---- a full disk: measured to the end, told at the end, nothing lost ----
(
    trap '' XFSZ
    ulimit -f 100 # 51200 bytes in bash's units of 512, 102400 in those of 1024
    timeout 200 "$attrbench" "${quick[@]}" --method $long --time 0.02 --out f --save full --db f.db >out 2>err
    echo $? >status
)
[[ $(cat status) == 1 ]] || fail "exit code $(cat status) on a full disk"
grep -q 'f.db: cannot be written' err || fail "a full disk is not told"
[[ -s f/results.json ]] || fail "no results.json on a disk whose store is full"

# ---- import ----
code 0 import main.json --db t.db
prints "main.json: attrbench results: run main (#1)"
code 0 export main --db t.db
grep -v '"origin"' out >again.json
grep -v '"origin"' main.json | cmp -s - again.json || fail "export, import, export changes something"
code 0 import main.json --db t.db
prints "there already"
code 0 import main.json --again --name other --db t.db
prints "run other (#2)"
code 0 import o/results.json f/results.jsonl --db t.db
prints "run o (#3)"
code 0 export --db t.db --out all.json
code 0 import all.json --db u.db
[[ $(grep -c 'all.json: attrbench results' out) == 4 ]] || fail "several runs of a file"
run_digits 0 --method gradient --backend native --benchmark_out=gb.json --benchmark_out_format=json \
    --benchmark_repetitions=2
code 0 import gb.json --db t.db
prints "Google Benchmark: run gb"
sed 's/"ratio":[^,]*,/"ratio":NaN,/' o/results.json >nan.json
code 1 import nan.json --db t.db
says "nan.json: line"
says "NaN and infinity are no JSON; write null in their place"
code 1 import nan.json --db none.db
[[ ! -e none.db ]] || fail "a refused file makes a store"
code 1 import missing.json --db t.db
says "missing.json"
code 1 import s.db --db t.db
says "s.db: no text"
code 2 import
says "import FILE"
code 2 import main.json --name '#1' --db t.db
says "name"
code 1 import main.json --db text.db
says "text.db"
[[ $(head -c 14 text.db) == 'no database at' ]] || fail "a foreign file was written to"

[[ $failures == 0 ]] && echo "all passed"
exit $((failures > 0))
