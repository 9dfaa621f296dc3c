#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# attrbench history on runs that are made up: steps, commits, what is left out, bad use.
# AB_COMMAND: the binary.
. "$(dirname "${BASH_SOURCE[0]}")/cli_support.sh"
export LC_ALL=C.UTF-8

# run NUMBER KERNEL SLOW FLAT: one run of two rows in run-NUMBER.json.
run() {
    local row='{"kind": "kernel", "op": "%s", "shape": "n1", "backend": "native", "samples_ns": [%s, %s]}'
    {
        printf '{"context": {"date": "2026-01-%02dT00:00:00Z", "interrupted": false,' "$1"
        printf ' "build": {"git_revision": "abcdef0000%02d"}, "system": {"kernel": "%s"}},' "$1" "$2"
        printf ' "run": {"name": "main", "started": "2026-01-%02dT00:00:00Z", "finished": "2026-01-%02dT01:00:00Z"},' "$1" "$1"
        # shellcheck disable=SC2059  # a row is a format
        printf ' "results": ['"$row, $row"']}\n' slow "$3" "$3" flat "$4" "$4"
    } >"run-$1.json"
}
files=()
for n in 9 2 3 4 1 5 6 7 8; do
    run $n six $((n < 6 ? 100000 + 100 * (n % 3) : 110000 + 100 * (n % 3))) $((50000 + 50 * (n % 4)))
    files+=("run-$n.json")
done
code 0 import "${files[@]}" --db h.db
code 0 history --db h.db
prints '9 runs, 2026-01-01T00:00:00Z (abcdef000001) to 2026-01-09T00:00:00Z (abcdef000009), 2 rows'
grep -q '^kernel/slow/n1/native .*110 us  ▁▁▁▁▁|████$' out || fail "no sparkline with a step"
grep -q '+9.9 % (100 us to 110 us) at abcdef000005..abcdef000006, run main (#' out || fail "no step"
prints '1 row slower at its last change, 0 faster, 1 without a change'
code 0 history main --regressions --db h.db
! grep -q '^kernel/flat' out || fail "--regressions shows what did not change"
code 0 history --row '*flat*' --db h.db
! grep -q '^kernel/slow' out || fail "--row shows others"
code 0 history --runs --db h.db
[[ $(wc -l <out) == 10 ]] || fail "--runs lists not nine runs"
grep -q '#9 .*main .*finished, imported' out || fail "--runs"
code 0 history --json --db h.db
prints '"revisions": "abcdef000005..abcdef000006"'
[[ -z $(command -v python3) ]] || python3 -m json.tool out >/dev/null || fail "--json is no JSON"
LC_ALL=C code 0 history --db h.db
! LC_ALL=C grep -q $'\xe2' out || fail "blocks where the terminal has ASCII"
run 10 seven 300000 50000
code 0 import run-10.json --db h.db
code 0 history --db h.db
prints '9 others are left out: measured under other conditions (system.kernel: six, seven)'
prints 'save more runs'
code 0 history --cross --db h.db
prints '10 runs'
prints '9 of them measured under other conditions than the newest (system.kernel: six, seven)'

code 2 history mian --db h.db
says "did you mean 'main'"
code 2 history a b --db h.db
says "one name at a time"
code 2 history --row 'step*' --db h.db
says "'step*'"
code 1 history --db absent.db
says "absent.db"
code 2 history main --db absent.db
says "'main': no such file or run: there is no store absent.db"
code 2 history --rows x
says "did you mean --row"
if [[ -c /dev/full ]]; then
    "$attrbench" history --db h.db >/dev/full 2>err
    [[ $? == 1 ]] || fail "a full disk goes unnoticed"
fi

[[ $failures == 0 ]] && echo "all passed"
exit $((failures > 0))
