// SPDX-License-Identifier: Apache-2.0
// Methods on models: summary, latency, heat maps, agreement, all methods in one plan.
'use strict';

/* ---- summary ---- */

const tile = (key, value, note, style) => AB.el('div', { class: 'tile ' + (style || '') },
  AB.el('div', { class: 'k' }, key), AB.el('div', { class: 'v' }, value), AB.el('div', { class: 'n' }, note));

const speedTile = (name, rows) => {
  const values = rows.filter(AB.isNative).map(AB.speedup).filter(AB.isNumber);
  if (!values.length) return null;
  const mean = AB.geomean(values);
  return tile(name, [AB.digits(mean), AB.el('small', null, '\u00d7')],
    `geometric mean of ${AB.count(values.length, 'result')}, ${AB.ratio(AB.least(values))} to ${AB.ratio(AB.most(values))}`, mean >= 1.02 ? 'good' : mean < 0.98 ? 'bad' : '');
};

const agreementTile = () => {
  const judged = AB.data.rows.filter((r) => r.verdict === 'agree' || r.verdict === 'disagree');
  if (!judged.length) return null;
  const good = judged.filter((r) => r.verdict === 'agree');
  const worst = AB.most(judged.map((r) => r.rel_l2));
  return tile('Agree with double precision', [String(good.length), AB.el('small', null, ` of ${judged.length}`)],
    AB.isNumber(worst) ? `largest relative error ${AB.small(worst)}` : '', good.length === judged.length ? 'good' : 'bad');
};

const jointTile = () => {
  const rows = AB.kind('joint').filter((r) => AB.isNative(r) && AB.isNumber(r.joint_ratio));
  if (!rows.length) return null;
  const best = rows.reduce((a, r) => (r.joint_ratio < a.joint_ratio ? r : a));
  return tile('All methods in one plan', [AB.digits(1 / best.joint_ratio), AB.el('small', null, '\u00d7')],
    `${best.model}: ${best.n_methods} methods in ${AB.time(best.ns_median)} instead of ${AB.time(best.sum_single_ns)}`);
};

const rangeText = (rows) => {
  const low = AB.least(rows.map((r) => r.ns_median)), high = AB.most(rows.map((r) => r.ns_median));
  return low === high ? AB.time(low) : `${AB.time(low)} to ${AB.time(high)}`;
};
const modelTiles = () => {
  const newest = AB.data.runs.reduce((best, run, i) => ((run.date || '') >= (AB.data.runs[best].date || '') ? i : best), 0);
  const groups = [...AB.groups(AB.kind('method').filter((r) => r.run === newest && AB.isNative(r) && AB.isNumber(r.ns_median)), AB.settingKey).values()].slice(0, 3);
  return groups.map((rows) => {
    const fastest = rows.reduce((a, r) => (r.ns_median < a.ns_median ? r : a));
    const [value, unit] = AB.time(fastest.ns_median).split('\u00a0');
    return tile(`Fastest on ${AB.settingName(fastest)}`, [value, AB.el('small', null, '\u00a0' + unit)], `${fastest.method}; all ${rows.length}: ${rangeText(rows)}`);
  });
};

const busyNotes = () => AB.data.runs.flatMap((run, i) => {
  const c = run.context || {}, notes = [];
  const pressure = /avg10=([0-9.]+)/.exec((c.system || {}).cpu_pressure || '');
  if (run.interrupted) notes.push(['Interrupted. ', `${run.name} was stopped before its end; it shows the results finished until then.`]);
  if (pressure && Number(pressure[1]) >= 20) notes.push(['Busy machine. ', `When ${run.name} began, tasks had waited for a CPU ${Math.round(Number(pressure[1]))} % of the last ten seconds. Speed-ups are taken by turns and hold; times may be longer than on an idle machine.`]);
  const failed = AB.data.rows.filter((r) => r.run === i && r.error).length;
  if (failed) notes.push(['Not measured. ', `${AB.count(failed, 'result')} of ${run.name}: the reason is in the tables.`]);
  return notes;
});

AB.section('summary', 'Summary', (section) => {
  const methods = AB.kind('method'), kernels = AB.kind('kernel').filter((r) => r.picked !== false);
  const tiles = [speedTile('Methods against oneDNN', methods), speedTile('Kernels against oneDNN', kernels), agreementTile(), jointTile(), modelTiles()].flat().filter(Boolean);
  section.append(AB.el('div', { class: 'tiles' }, tiles));
  const notes = busyNotes();
  section.append(...notes.slice(0, 4).map(([head, text]) => AB.el('p', { class: 'notice' }, AB.el('b', null, head), text)));
  if (notes.length > 4) section.append(AB.el('p', { class: 'sub' }, `and ${notes.length - 4} more notes of this kind.`));
  return tiles.length > 0 || notes.length > 0;
});

/* ---- latency ---- */

const MOST_LABELS = 60;

/* Rows of one setting in the order of the first backend's times: {labels, backends, row(label,
 * backend)}. */
const arrange = (rows) => {
  const backends = [...new Set(rows.map((r) => r.backend))];
  const first = new Map(rows.filter((r) => r.backend === backends[0]).map((r) => [r.method, r.ns_median]));
  const methods = [...new Set(rows.map((r) => r.method))].sort((a, b) => (first.get(a) ?? Infinity) - (first.get(b) ?? Infinity)).slice(0, MOST_LABELS);
  const found = new Map(rows.map((r) => [r.method + '\n' + r.backend, r]));
  return { methods, backends, row: (method, backend) => found.get(method + '\n' + backend) };
};

const latencyTip = (r) => [`median ${AB.time(r.ns_median)}`, `p10 to p90: ${AB.time(r.ns_p10)} to ${AB.time(r.ns_p90)}`, `${AB.count(r.samples || 0, 'sample')}`,
  AB.isNumber(AB.speedup(r)) ? `${AB.ratio(r.ratio)} over oneDNN` : ''].filter(Boolean);

const latencyChart = (set, name) => {
  const series = set.backends.map((backend) => ({
    name: AB.backendName(backend), colour: AB.backendColour(backend),
    points: set.methods.map((m, i) => [set.row(m, backend), i]).filter(([r]) => r && AB.isNumber(r.ns_median))
      .map(([r, i]) => ({ label: i, value: r.ns_median, lo: r.ns_p10, hi: r.ns_p90, tip: latencyTip(r) })),
  }));
  return AB.charts.intervals(set.methods, series, { title: 'time of one execution', log: true, tick: AB.timeTick, label: `Latency of each method on ${name}` });
};

const speedChart = (set, name) => {
  const series = set.backends.filter((b) => b !== 'onednn' && b !== 'reference').map((backend) => ({
    name: AB.backendName(backend), colour: AB.backendColour(backend),
    points: set.methods.map((m, i) => [set.row(m, backend), i]).filter(([r]) => r && AB.isNumber(AB.speedup(r)))
      .map(([r, i]) => ({ label: i, value: r.ratio, tip: [`${AB.ratio(r.ratio)} over oneDNN`] })),
  }));
  if (!series.some((s) => s.points.length)) return null;
  return AB.charts.intervals(set.methods, series, { title: 'speed-up over oneDNN', log: true, from: 1, ref: 1, pitch: AB.charts.pitch(set.backends.length), tick: (v) => Number(v.toPrecision(3)) + '\u00d7', label: `Speed-up of each method on ${name}` });
};

const latencyPanel = (rows) => {
  const set = arrange(rows), name = AB.settingName(rows[0]), speed = speedChart(set, name);
  const legend = AB.legend(set.backends.map((b) => ({ name: AB.backendName(b), colour: AB.backendColour(b) })));
  const left = AB.el('div', { class: 'card' }, AB.el('h3', null, name), AB.el('p', { class: 'sub' }, 'Median with the range from the 10th to the 90th percentile'), legend,
    AB.el('div', { class: 'scroller' }, latencyChart(set, name)));
  if (!speed) return left;
  const values = rows.filter(AB.isNative).map(AB.speedup).filter(AB.isNumber);
  return AB.el('div', { class: 'cols' }, left, AB.el('div', { class: 'card' }, AB.el('h3', null, values.length ? `${AB.ratio(AB.geomean(values))} as fast as oneDNN in the mean` : 'Against oneDNN'),
    AB.el('p', { class: 'sub' }, 'oneDNN\u2019s time over this one\u2019s, taken by turns'), AB.legend([{ name: 'right of the line: faster than oneDNN', colour: '--faint', line: true }]),
    AB.el('div', { class: 'scroller' }, speed)));
};

const methodColumns = (rows) => {
  const span = AB.spanCells(rows), several = (key) => new Set(rows.map((r) => r[key])).size > 1;
  return [
    { head: 'method', value: (r) => r.method, cell: (r) => AB.rowLink(r.method || AB.none, r) },
    AB.data.runs.length > 1 ? { head: 'run', value: (r) => AB.run(r).name } : null,
    several('model') ? { head: 'model', value: (r) => r.model } : { head: 'model', hide: true, value: (r) => r.model },
    { head: 'backend', value: (r) => r.backend, cell: AB.backendCell },
    several('threads') ? { head: 'threads', num: true, value: (r) => r.threads } : null,
    several('batch') ? { head: 'batch', num: true, value: (r) => r.batch } : null,
    { head: 'median', num: true, hint: 'median time of one execution; the bar is the 10th to the 90th percentile, on one scale for all rows', value: (r) => r.ns_median, cell: span },
    { head: 'p99', num: true, hint: 'needs 100 samples', value: (r) => r.ns_p99, cell: (r) => AB.time(r.ns_p99) },
    { head: 'images/s', num: true, value: (r) => r.images_per_second, cell: (r) => AB.digits(r.images_per_second) },
    { head: 'GFLOP/s', num: true, hint: 'operations of the plain definition over the median', value: (r) => r.gflops, cell: (r) => AB.digits(r.gflops) },
    { head: 'of peak', num: true, hint: 'share of the measured FMA peak; Winograd can exceed 100 %', value: (r) => r.peak_share, cell: (r) => AB.percent(r.peak_share) },
    { head: 'speed-up', num: true, hint: 'oneDNN\u2019s time over this row\u2019s', value: AB.speedup, cell: AB.speedCell },
    { head: 'rel. L2', num: true, hint: 'relative error of the map against double precision', value: (r) => r.rel_l2, cell: (r) => AB.small(r.rel_l2) },
    { head: 'verdict', value: (r) => r.verdict, cell: AB.verdictChip },
    { head: 'plan memory', num: true, value: (r) => r.planned_bytes, cell: (r) => AB.bytes(r.planned_bytes) },
  ].filter(Boolean);
};
const methodFilters = [{ label: 'Run', value: (r) => AB.run(r).name }, { label: 'Model', value: (r) => r.model }, { label: 'Backend', value: (r) => r.backend }, { label: 'Verdict', value: (r) => r.verdict || '' }];

AB.section('latency', 'Latency', (section) => {
  const rows = AB.kind('method');
  if (!rows.length) return false;
  const settings = [...AB.groups(rows, AB.settingKey).values()].filter((g) => g.some((r) => AB.isNumber(r.ns_median)));
  const compared = rows.filter((r) => AB.isNative(r) && AB.isNumber(AB.speedup(r))), faster = compared.filter((r) => r.ratio > 1);
  section.append(AB.lede(compared.length
    ? `The native backend is faster than oneDNN in *${faster.length} of ${compared.length}* results. A speed-up is shown only where the map also agrees with the reference.`
    : `*${AB.count(rows.length, 'result')}* of methods on models.`));
  section.append(...AB.panels('Model', settings.map((g) => AB.settingName(g[0])), 3, (i) => latencyPanel(settings[i])).flat());
  section.append(AB.el('div', { class: 'card' }, AB.table(rows, methodColumns(rows), { name: 'methods', label: 'Latency of methods', filters: methodFilters })));
  section.append(AB.how('A dot is the median time of one execution, its bar the range from the 10th to the 90th percentile of the samples: a long bar means a noisy machine or a method whose time varies.',
    'The backends take turns within one run, so that what disturbs one disturbs all: their ratio holds even where times do not. *Click a method* for its samples, its kernels and the command that measures it again.'));
  return true;
});

/* ---- heat maps ---- */

const captionOf = (map) => {
  const row = AB.kind('method').find((r) => r.run === map.run && r.model === map.model && r.method === map.method && (!map.backend || r.backend === map.backend));
  if (!row) return [];
  return [AB.isNumber(row.ns_median) ? AB.el('span', null, [AB.time(row.ns_median), AB.isNumber(AB.speedup(row)) ? `, ${AB.ratio(row.ratio)} oneDNN` : '']) : null,
    AB.isNumber(row.rel_l2) ? AB.el('span', null, `${row.verdict === 'agree' ? '\u2713' : '\u2717 ' + row.verdict + ','} error ${AB.small(row.rel_l2)}`) : null];
};

const mapFigure = (map) => {
  const name = map.method || 'input', source = 'data:image/png;base64,' + map.png;
  const image = AB.el('img', { src: source, alt: `${name} on ${map.image || map.model}`, loading: 'lazy', decoding: 'async' });
  image.addEventListener('load', () => { if (image.naturalWidth < 150) image.classList.add('pixels'); });
  const open = () => {
    const big = AB.el('img', { src: source, alt: image.alt, class: image.className });
    AB.dialog(name, [map.model, map.image, map.target].filter(Boolean).join(' \u00b7 '), big, AB.el('figcaption', null, captionOf(map)));
  };
  return AB.el('figure', null, AB.el('button', { type: 'button', onclick: open, 'aria-label': `Enlarge ${name}` }, image), AB.el('figcaption', null, AB.el('b', null, name), captionOf(map)));
};

AB.section('maps', 'Heat maps', (section) => {
  const { maps, sheets } = AB.data;
  if (!maps.length && !sheets.length) return false;
  section.append(AB.lede('What each method says about the image: red speaks *for* the class, blue *against* it. Below each map stand its latency and its error against double precision.'),
    maps.length ? AB.el('p', null, AB.el('span', { class: 'scale' }, 'against', AB.el('i'), 'for')) : '');
  const groups = [...AB.groups(maps, (m) => [m.run, m.model, m.image, m.target].join('\n')).values()];
  const names = groups.map((g) => [AB.data.runs.length > 1 ? AB.data.runs[g[0].run].name : null, g[0].model, g[0].image, g[0].target].filter(Boolean).join(' \u00b7 '));
  section.append(...AB.panels('Image', names, 4, (i) => AB.el('div', { class: 'card' }, AB.el('h3', { style: 'margin-bottom:10px' }, names[i]), AB.el('div', { class: 'gallery' }, groups[i].map(mapFigure)))).flat());
  for (const sheet of sheets) {
    section.append(AB.el('div', { class: 'card' }, AB.data.runs.length > 1 ? AB.el('h3', { style: 'margin-bottom:10px' }, AB.data.runs[sheet.run].name) : null,
      AB.el('div', { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': 'Sheet of heat maps', style: 'max-height:none' },
        AB.el('img', { class: 'sheet', style: 'min-width:820px', src: 'data:image/png;base64,' + sheet.png, alt: 'All heat maps of the run, methods side by side' }))));
  }
  return true;
});

/* ---- agreement ---- */

const heatCell = (row) => {
  if (!row) return AB.el('td', null, AB.el('button', { type: 'button', class: 'none', disabled: true }, ''));
  const e = row.err_over_bound, over = row.verdict === 'disagree';
  const known = AB.isNumber(e) && (row.verdict === 'agree' || over);
  const t = known ? Math.min(1, Math.max(0, 1 + Math.log10(Math.max(e, 1e-5)) / 5)) : 0;
  const text = known ? AB.small(row.rel_l2) : row.verdict || AB.none;
  const title = known ? `relative L2 error ${AB.small(row.rel_l2)}; ${AB.percent(e, 1)} of the limit` : row.verdict_reason || row.error || '';
  return AB.el('td', null, AB.el('button', { type: 'button', class: over ? 'over' : known ? 'heat' + (t > 0.82 ? ' strong' : '') : 'none', '--t': t.toFixed(3), title, onclick: () => AB.showRow(row) }, over ? '\u2717 ' + text : text));
};

AB.section('agreement', 'Agreement', (section) => {
  const rows = AB.kind('method').filter((r) => r.verdict && r.backend !== 'reference');
  const judged = rows.filter((r) => r.verdict === 'agree' || r.verdict === 'disagree');
  if (!judged.length) return false;
  const bad = judged.filter((r) => r.verdict === 'disagree');
  const worst = judged.reduce((a, r) => ((r.err_over_bound || 0) > (a.err_over_bound || 0) ? r : a));
  section.append(AB.lede(bad.length ? `*${bad.length} of ${judged.length}* maps disagree with the double-precision reference.`
    : `All *${judged.length}* maps agree with the double-precision reference. The closest to its limit uses *${AB.percent(worst.err_over_bound, 1)}* of it.`));
  const settings = [...AB.groups(rows, AB.settingKey).values()];
  section.append(AB.el('div', { class: settings.length > 1 && settings.length <= 4 ? 'pair' : null }, AB.panels('Model', settings.map((g) => AB.settingName(g[0])), 4, (i) => {
    const set = arrange(settings[i]);
    return AB.el('div', { class: 'card' }, AB.el('h3', { style: 'margin-bottom:8px' }, AB.settingName(settings[i][0])),
      AB.el('div', { class: 'tablebox', tabindex: '0', role: 'region', 'aria-label': 'Agreement of methods and backends', style: 'border:0' }, AB.el('table', { class: 'matrix' },
        AB.el('thead', null, AB.el('tr', { class: 'pin' }, AB.el('th', { scope: 'col' }, AB.el('span', null, 'method')), set.backends.map((b) => AB.el('th', { scope: 'col', style: 'text-align:center' }, AB.el('span', null, AB.backendName(b)))))),
        AB.el('tbody', null, set.methods.map((m) => AB.el('tr', { class: 'pin' }, AB.el('th', { scope: 'row' }, m || AB.none), set.backends.map((b) => heatCell(set.row(m, b)))))))));
  })));
  section.append(AB.el('p', { style: 'margin:10px 0 0' }, AB.el('span', { class: 'ramp' }, 'far below its limit', AB.el('i'), 'at its limit', AB.el('i', { class: 'over' }), 'beyond')));
  section.append(AB.how('Each cell is the relative L2 error of a map against the same map computed in double precision. Its *colour* is the error as a share of the limit that rounding justifies for that method, on a logarithmic scale: methods that divide by small numbers may differ more.',
    'Where rounding decided a ReLU or a pooling tie differently, and can explain it, the reference follows that decision before it is compared.'));
  return true;
});

/* ---- all methods in one plan ---- */

AB.section('together', 'One plan', (section) => {
  const rows = AB.kind('joint').filter((r) => AB.isNumber(r.ns_median));
  if (!rows.length) return false;
  const labels = rows.map((r) => `${AB.settingName(r)} \u00b7 ${AB.backendName(r.backend)}`);
  const points = (key) => rows.map((r, i) => ({ label: i, value: r[key], lo: key === 'ns_median' ? r.ns_p10 : NaN, hi: key === 'ns_median' ? r.ns_p90 : NaN,
    tip: [AB.time(r[key]), AB.isNumber(r.joint_ratio) ? `together over one by one: ${AB.digits(r.joint_ratio)}` : ''].filter(Boolean) })).filter((p) => AB.isNumber(p.value));
  const best = rows.filter((r) => AB.isNumber(r.joint_ratio)).reduce((a, r) => (!a || r.joint_ratio < a.joint_ratio ? r : a), null);
  section.append(AB.lede(best ? `One plan serves all methods: on ${best.model} *${best.n_methods} methods take ${AB.time(best.ns_median)}* together, ${AB.time(best.sum_single_ns)} one by one.` : 'All methods in one plan.'));
  section.append(AB.el('div', { class: 'card' }, AB.legend([{ name: 'together', colour: '--c1' }, { name: 'one by one, summed', colour: '--c3' }]),
    AB.el('div', { class: 'scroller' }, AB.charts.intervals(labels, [{ name: 'together', colour: '--c1', points: points('ns_median') }, { name: 'one by one', colour: '--c3', points: points('sum_single_ns') }],
      { title: 'time of all methods', log: true, tick: AB.timeTick, label: 'All methods together and one by one' })),
    AB.table(rows, [
      { head: 'model', value: (r) => AB.settingName(r), cell: (r) => AB.rowLink(AB.settingName(r), r) },
      { head: 'backend', value: (r) => r.backend, cell: AB.backendCell },
      { head: 'methods', num: true, value: (r) => r.n_methods },
      { head: 'together', num: true, value: (r) => r.ns_median, cell: (r) => AB.time(r.ns_median) },
      { head: 'one by one', num: true, value: (r) => r.sum_single_ns, cell: (r) => AB.time(r.sum_single_ns) },
      { head: 'ratio', num: true, value: (r) => r.joint_ratio, cell: (r) => AB.digits(r.joint_ratio) },
      { head: 'plan memory', num: true, value: (r) => r.planned_bytes, cell: (r) => AB.bytes(r.planned_bytes) },
    ], { name: 'together', label: 'All methods in one plan' })));
  return true;
});
