#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The page of attrbench report in a browser, without network: no errors, hostile names are text,
# tables sort and filter by keyboard, everything is labelled, thousands of rows stay quick, and
# nothing is wider than a phone. AB_COMMAND: the binary. AB_BROWSER: another browser than chromium.
set -uo pipefail
attrbench=${AB_COMMAND:?}
browser=${AB_BROWSER:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
[[ -n $browser ]] || { echo "skipped: no chromium here to look at the page of attrbench report"; exit 0; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
export HOME=$tmp XDG_CACHE_HOME=$tmp/cache
failures=0
fail() { echo "FAILED: $*"; failures=$((failures + 1)); }

# ---- results with everything that the page can show ----
evil='<img src=x onerror=window.pwned=1></script><script>window.pwned=1</script>'
rows() { # HOW MANY, FACTOR OF TIMES
    local kind
    awk -v n="$1" -v factor="$2" -v evil="$evil" 'BEGIN {
        samples = n < 100 ? 60 : 4
        for (i = 1; i <= n; i++)
            for (k = 0; k < 2; k++) {
                printf "%s{\"kind\":\"method\",\"model\":\"%s\",\"method\":\"method-%d\",\"backend\":\"%s\",", (i + k > 1 ? "," : ""), evil, i, (k ? "onednn" : "native")
                printf "\"threads\":1,\"batch\":1,\"shape\":\"n1\",\"ns_min\":%d,\"ns_p10\":%d,\"ns_median\":%d,\"ns_p90\":%d,\"samples\":%d,\"samples_ns\":[%d", i + 1, i + 2, i * 37 % 1000 + 3, i + 1100, samples, 1000 * i
                for (j = 1; j < samples; j++) printf ",%d", factor * (1000 * i + j * 7919 % 10)
                printf "],"
                printf "\"ratio\":%d.5,\"rel_l2\":%de-9,\"err_over_bound\":0.01,\"verdict\":\"%s\",\"flops\":%d,\"bytes\":1000,\"gflops\":%d,\"repro\":\"attrbench run\"}", i % 4, i, (i == 3 ? "disagree" : "agree"), 1000 * i, i % 90 + 1
            }
    }'
    for kind in conv2d_fwd conv2d_bwd; do
        printf ',{"kind":"kernel","op":"%s","shape":"n1c3h9w9 layer<b>","backend":"native","kernels":["k"],"threads":1,"batch":1,"ns_min":5,"ns_median":6,"ratio":1.5,"picked":true,"verdict":"agree","flops":100,"bytes":10,"gflops_best":20}' $kind
    done
    printf ',{"kind":"step","op":"CONV_fwd","model":"m","method":"method-1","backend":"native","threads":1,"batch":1,"ns_median":7,"samples":1}'
    printf ',{"kind":"joint","model":"m","backend":"native","n_methods":2,"ns_median":7,"sum_single_ns":20,"joint_ratio":0.35,"threads":1,"batch":1}'
    printf ',{"kind":"method","model":"m","method":"%s","backend":"native","error":"%s"}' "$evil" "$evil"
}
make_results() { # ROWS FOLDER DAY FACTOR
    mkdir -p "$2"
    printf '{"context":{"date":"2026-01-0%dT03:04:05Z","cpu":{"model":"%s","fma_peak_gflops_per_core":{"avx2":100.0},"read_bandwidth_gbs":{"L1":200.0}},"system":{"cpu_pressure":"some avg10=50.00"}},"results":[%s]}' \
        "$3" "$evil" "$(rows "$1" "$4")" >"$2/results.json"
}
# make_report FOLDER RUN... OPTION...
make_report() { "$attrbench" report "${@:2}" --title "$evil" --out "$1" >/dev/null || fail "report ${*:2}"; }

# ---- what a user does, in the page; sends what happened to the frame's owner ----
cat >driver.js <<'EOF'
(async () => {
  const said = [], check = (ok, what) => ok || said.push(what);
  const turn = () => new Promise((done) => setTimeout(done, 30));
  const until = async (test) => { for (let i = 0; i < 300 && !test(); i++) await turn(); return test(); };
  await turn();
  const $ = (s) => document.querySelector(s), all = (s) => [...document.querySelectorAll(s)];
  const tableOfRows = async () => {
    const table = $('#latency table'), names = () => [...table.tBodies[0].rows].map((r) => r.cells[0].textContent);
    const head = (text) => [...table.tHead.querySelectorAll('button')].find((b) => b.textContent === text);
    const median = [...table.tHead.rows[0].cells].findIndex((c) => c.textContent === 'median');
    const began = performance.now();
    head('median').focus();
    check(document.activeElement === head('median'), 'headers take no focus');
    head('median').click();
    check(table.tHead.rows[0].cells[median].getAttribute('aria-sort') === 'ascending', 'aria-sort');
    const up = names()[0];
    head('median').click();
    check(names()[0] !== up, 'the order does not turn');
    const search = $('#latency input[type=search]');
    search.value = 'method-7 native';
    search.dispatchEvent(new Event('input'));
    check(names().length >= 1 && names().every((n) => n.startsWith('method-7')), 'filter: ' + names().slice(0, 3));
    search.value = 'no such row';
    search.dispatchEvent(new Event('input'));
    check(names().length === 0 && $('#latency .count').textContent.startsWith('0 rows'), 'filter of nothing');
    search.value = '';
    search.dispatchEvent(new Event('input'));
    const took = performance.now() - began;
    check(took < 3000, `two sorts and three filters took ${took} ms`);
    const row = [...table.tBodies[0].rows][0].querySelector('button');
    row.click();
    check((await until(() => $('dialog[open] pre'))) && !$('dialog').textContent.includes('[object'), 'no details');
    $('dialog button').click();
    check(await until(() => !$('dialog')), 'details do not close');
  };
  const deployment = async () => {
    const table = $('#deployment table'), names = () => [...table.tBodies[0].rows].map((r) => r.cells[0].textContent);
    const head = [...table.tHead.querySelectorAll('button')].find((b) => b.textContent === 'p50');
    const first = names()[0];
    check(names().length === AB.data.deployments[0].points.length && first.includes('flush'), 'points: ' + names());
    head.focus();
    check(document.activeElement === head, 'headers of points take no focus');
    head.click();
    check(names()[0] !== first && names()[0].includes('2x1'), 'points are not sorted: ' + names()[0]);
    check(['recommended', 'maps disagree', 'misses the latency limit', 'not measured'].every((t) => table.textContent.includes(t)), 'standings');
    table.tBodies[0].rows[0].querySelector('button').click();
    check((await until(() => $('dialog[open] dl'))) && $('dialog').textContent.includes('cold start') && !$('dialog').textContent.includes('[object'), 'no details of a point');
    $('dialog button').click();
    check(await until(() => !$('dialog')), 'details of a point do not close');
    const words = $('#deployment').innerText;
    check(['2 instances of 1 thread', 'p99=80ms', 'What each knob bought', 'What limits it', 'Largest rate', 'Confirmation the limit held', 'Forecast for batch=16'].every((t) => words.includes(t)), 'parts are missing');
    check(!words.includes('NaN') && !words.includes('undefined') && !words.includes('Infinity'), 'a number that is none');
  };
  check(document.documentElement.dataset.state === 'ready', 'not ready');
  check(!AB.errors.length, 'errors: ' + AB.errors.join('; '));
  check(!AB.data.rows.length || ['summary', 'latency', 'agreement', 'together', 'kernels', 'roofline', 'steps', 'environment'].every((id) => document.getElementById(id)), 'sections are missing');
  check(!AB.data.histories.length || $('#history svg'), 'no history');
  check(AB.data.histories.some((h) => h.crossed) === Boolean($('#history .notice')), 'different conditions are not told');
  check(!AB.data.comparison || $('#comparison .legend'), 'no comparison');
  if (AB.data.rows.length) await tableOfRows();
  if (AB.data.deployments.length) await deployment();
  $('#theme').click();
  $('#theme').click();
  check(getComputedStyle(document.body).backgroundColor === 'rgb(15, 18, 22)', 'dark is not dark');
  AB.charts.drawAll();
  await turn();
  const built = document.documentElement.outerHTML.includes('* Chart' + '.js v'); // or -DAB_WITH_CHARTS=OFF
  check(AB.charts.available === built, 'Chart.js does not work');
  check(built ? AB.charts.live.length >= 4 && AB.charts.live.every((e) => e.chart) : $('.nochart'), 'charts are not drawn');
  check(!$('main').innerText.includes('[object '), 'an object as text');
  check(all('input, select').every((i) => i.labels.length), 'an input has no label');
  check(all('button, a').every((b) => b.textContent.trim() || b.getAttribute('aria-label') || b.disabled), 'a button has no name');
  check(all('img').every((i) => i.alt), 'a picture has no text');
  check(all('canvas').every((c) => c.getAttribute('aria-label')), 'a chart has no text');
  check(document.documentElement.scrollWidth <= innerWidth, `wider than the window: ${document.documentElement.scrollWidth}`);
  check(window.pwned === undefined && !$('img[src=x]'), 'a name became markup');
  check(document.title.startsWith('<img'), 'the title is not text');
  check(!performance.getEntriesByType('resource').length, 'asks the network');
  check(!AB.errors.length, 'errors: ' + AB.errors.join('; '));
  parent.postMessage(said.length ? 'said: ' + said.join(' / ') : 'fine', '*');
})().catch((e) => parent.postMessage('said: ' + e.stack, '*'));
EOF

look() { # FOLDER WIDTH
    { sed '/^<\/body>/d;/^<\/html>/d' "$1/report.html"; echo '<script>'; cat driver.js; echo '</script></body></html>'; } >"$1/driven.html"
    cat >owner.html <<EOF
<body><iframe src="$1/driven.html" width="$2" height="900"></iframe><pre id="p">nothing</pre>
<script>addEventListener('message', (e) => { p.textContent = e.data; });</script>
EOF
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-background-networking \
        --host-resolver-rules='MAP * ~NOTFOUND' --user-data-dir="$tmp/profile" --enable-logging=stderr \
        --virtual-time-budget=20000 --dump-dom "file://$tmp/owner.html" >dom 2>log
    grep -q '<pre id="p">fine</pre>' dom || fail "$1 at $2: $(sed -n 's/.*<pre id="p">//p' dom | head -5)"
    ! grep -a 'CONSOLE' log | head -3 | grep . || fail "$1 at $2: the console has messages"
}

make_results 12 few 1 1 && make_report few few
look few 1280
look few 390
make_results 2500 many 1 1 && make_report many many
look many 1280
make_results 12 two 2 1 && make_results 12 three 3 1.4 && make_results 12 four 4 1.4
make_report history few two three four
look history 390
mkdir old && sed 's/"cpu":{/"cpu":{"stepping":7,/' two/results.json >old/results.json
make_report crossed --cross old three four
look crossed 390
sed "s|\"resnet50\"|\"$evil\"|" "$AB_SOURCE_DIR/tests/data/deploy.json" >deploy.json
make_report deployed deploy.json two
look deployed 1280
look deployed 390
make_report alone deploy.json
look alone 390
make_report compared --compare two three
look compared 390

[[ $failures == 0 ]] || { echo "$failures failures"; exit 1; }
