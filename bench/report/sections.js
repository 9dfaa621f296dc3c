// SPDX-License-Identifier: Apache-2.0
// Methods on models: summary and latency.
'use strict';

/* ---- summary ---- */

const tile = (key, value, note, style) =>
  AB.el(
    'div',
    { class: 'tile ' + (style || '') },
    AB.el('div', { class: 'k' }, key),
    AB.el('div', { class: 'v' }, value),
    AB.el('div', { class: 'n' }, note),
  );

const speedTile = (name, rows) => {
  const values = rows.filter(AB.isNative).map(AB.speedup).filter(AB.isNumber);
  if (!values.length) return null;
  const mean = AB.geomean(values);
  return tile(
    name,
    [AB.digits(mean), AB.el('small', null, '\u00d7')],
    `geometric mean of ${AB.count(values.length, 'result')}, ${AB.ratio(AB.least(values))} to ${AB.ratio(AB.most(values))}`,
    mean >= 1.02 ? 'good' : mean < 0.98 ? 'bad' : '',
  );
};

const agreementTile = () => {
  const judged = AB.data.rows.filter((r) => r.verdict === 'agree' || r.verdict === 'disagree');
  if (!judged.length) return null;
  const good = judged.filter((r) => r.verdict === 'agree');
  const worst = AB.most(judged.map((r) => r.rel_l2));
  return tile(
    'Agree with double precision',
    [String(good.length), AB.el('small', null, ` of ${judged.length}`)],
    AB.isNumber(worst) ? `largest relative error ${AB.small(worst)}` : '',
    good.length === judged.length ? 'good' : 'bad',
  );
};

const jointTile = () => {
  const rows = AB.kind('joint').filter((r) => AB.isNative(r) && AB.isNumber(r.joint_ratio));
  if (!rows.length) return null;
  const best = rows.reduce((a, r) => (r.joint_ratio < a.joint_ratio ? r : a));
  return tile(
    'All methods in one plan',
    [AB.digits(1 / best.joint_ratio), AB.el('small', null, '\u00d7')],
    `${best.model}: ${best.n_methods} methods in ${AB.time(best.ns_median)} instead of ${AB.time(best.sum_single_ns)}`,
  );
};

const rangeText = (rows) => {
  const low = AB.least(rows.map((r) => r.ns_median)),
    high = AB.most(rows.map((r) => r.ns_median));
  return low === high ? AB.time(low) : `${AB.time(low)} to ${AB.time(high)}`;
};
const modelTiles = () => {
  const newest = AB.data.runs.reduce(
    (best, run, i) => ((run.date || '') >= (AB.data.runs[best].date || '') ? i : best),
    0,
  );
  const groups = [
    ...AB.groups(
      AB.kind('method').filter(
        (r) => r.run === newest && AB.isNative(r) && AB.isNumber(r.ns_median),
      ),
      AB.settingKey,
    ).values(),
  ].slice(0, 3);
  return groups.map((rows) => {
    const fastest = rows.reduce((a, r) => (r.ns_median < a.ns_median ? r : a));
    const [value, unit] = AB.time(fastest.ns_median).split('\u00a0');
    return tile(
      `Fastest on ${AB.settingName(fastest)}`,
      [value, AB.el('small', null, '\u00a0' + unit)],
      `${fastest.method}; all ${rows.length}: ${rangeText(rows)}`,
    );
  });
};

const busyNotes = () =>
  AB.data.runs.flatMap((run, i) => {
    const c = run.context || {},
      notes = [];
    const pressure = /avg10=([0-9.]+)/.exec((c.system || {}).cpu_pressure || '');
    if (run.interrupted)
      notes.push([
        'Interrupted. ',
        `${run.name} was stopped before its end; it shows the results finished until then.`,
      ]);
    if (pressure && Number(pressure[1]) >= 20)
      notes.push([
        'Busy machine. ',
        `When ${run.name} began, tasks had waited for a CPU ${Math.round(Number(pressure[1]))} % of the last ten seconds. Speed-ups are taken by turns and hold; times may be longer than on an idle machine.`,
      ]);
    const failed = AB.data.rows.filter((r) => r.run === i && r.error).length;
    if (failed)
      notes.push([
        'Not measured. ',
        `${AB.count(failed, 'result')} of ${run.name}: the reason is in the tables.`,
      ]);
    return notes;
  });

AB.section('summary', 'Summary', (section) => {
  const methods = AB.kind('method'),
    kernels = AB.kind('kernel').filter((r) => r.picked !== false);
  const tiles = [
    speedTile('Methods against oneDNN', methods),
    speedTile('Kernels against oneDNN', kernels),
    agreementTile(),
    jointTile(),
    modelTiles(),
  ]
    .flat()
    .filter(Boolean);
  section.append(AB.el('div', { class: 'tiles' }, tiles));
  const notes = busyNotes();
  section.append(
    ...notes
      .slice(0, 4)
      .map(([head, text]) => AB.el('p', { class: 'notice' }, AB.el('b', null, head), text)),
  );
  if (notes.length > 4)
    section.append(
      AB.el('p', { class: 'sub' }, `and ${notes.length - 4} more notes of this kind.`),
    );
  return tiles.length > 0 || notes.length > 0;
});

/* ---- latency ---- */

const MOST_LABELS = 60;

/* Rows of one setting in the order of the first backend's times: {labels, backends, row(label,
 * backend)}. */
const arrange = (rows) => {
  const backends = [...new Set(rows.map((r) => r.backend))];
  const first = new Map(
    rows.filter((r) => r.backend === backends[0]).map((r) => [r.method, r.ns_median]),
  );
  const methods = [...new Set(rows.map((r) => r.method))]
    .sort((a, b) => (first.get(a) ?? Infinity) - (first.get(b) ?? Infinity))
    .slice(0, MOST_LABELS);
  const found = new Map(rows.map((r) => [r.method + '\n' + r.backend, r]));
  return { methods, backends, row: (method, backend) => found.get(method + '\n' + backend) };
};

const latencyTip = (r) =>
  [
    `median ${AB.time(r.ns_median)}`,
    `p10 to p90: ${AB.time(r.ns_p10)} to ${AB.time(r.ns_p90)}`,
    `${AB.count(r.samples || 0, 'sample')}`,
    AB.isNumber(AB.speedup(r)) ? `${AB.ratio(r.ratio)} over oneDNN` : '',
  ].filter(Boolean);

const latencyChart = (set, name) => {
  const series = set.backends.map((backend) => ({
    name: AB.backendName(backend),
    colour: AB.backendColour(backend),
    points: set.methods
      .map((m, i) => [set.row(m, backend), i])
      .filter(([r]) => r && AB.isNumber(r.ns_median))
      .map(([r, i]) => ({
        label: i,
        value: r.ns_median,
        lo: r.ns_p10,
        hi: r.ns_p90,
        tip: latencyTip(r),
      })),
  }));
  return AB.charts.intervals(set.methods, series, {
    title: 'time of one execution',
    log: true,
    tick: AB.timeTick,
    label: `Latency of each method on ${name}`,
  });
};

const speedChart = (set, name) => {
  const series = set.backends
    .filter((b) => b !== 'onednn' && b !== 'reference')
    .map((backend) => ({
      name: AB.backendName(backend),
      colour: AB.backendColour(backend),
      points: set.methods
        .map((m, i) => [set.row(m, backend), i])
        .filter(([r]) => r && AB.isNumber(AB.speedup(r)))
        .map(([r, i]) => ({ label: i, value: r.ratio, tip: [`${AB.ratio(r.ratio)} over oneDNN`] })),
    }));
  if (!series.some((s) => s.points.length)) return null;
  return AB.charts.intervals(set.methods, series, {
    title: 'speed-up over oneDNN',
    log: true,
    from: 1,
    ref: 1,
    pitch: AB.charts.pitch(set.backends.length),
    tick: (v) => Number(v.toPrecision(3)) + '\u00d7',
    label: `Speed-up of each method on ${name}`,
  });
};

const latencyPanel = (rows) => {
  const set = arrange(rows),
    name = AB.settingName(rows[0]),
    speed = speedChart(set, name);
  const legend = AB.legend(
    set.backends.map((b) => ({ name: AB.backendName(b), colour: AB.backendColour(b) })),
  );
  const left = AB.el(
    'div',
    { class: 'card' },
    AB.el('h3', null, name),
    AB.el('p', { class: 'sub' }, 'Median with the range from the 10th to the 90th percentile'),
    legend,
    AB.el('div', { class: 'scroller' }, latencyChart(set, name)),
  );
  if (!speed) return left;
  const values = rows.filter(AB.isNative).map(AB.speedup).filter(AB.isNumber);
  return AB.el(
    'div',
    { class: 'cols' },
    left,
    AB.el(
      'div',
      { class: 'card' },
      AB.el(
        'h3',
        null,
        values.length
          ? `${AB.ratio(AB.geomean(values))} as fast as oneDNN in the mean`
          : 'Against oneDNN',
      ),
      AB.el('p', { class: 'sub' }, 'oneDNN\u2019s time over this one\u2019s, taken by turns'),
      AB.legend([{ name: 'right of the line: faster than oneDNN', colour: '--faint', line: true }]),
      AB.el('div', { class: 'scroller' }, speed),
    ),
  );
};

const methodColumns = (rows) => {
  const span = AB.spanCells(rows),
    several = (key) => new Set(rows.map((r) => r[key])).size > 1;
  return [
    { head: 'method', value: (r) => r.method, cell: (r) => AB.rowLink(r.method || AB.none, r) },
    AB.data.runs.length > 1 ? { head: 'run', value: (r) => AB.run(r).name } : null,
    several('model')
      ? { head: 'model', value: (r) => r.model }
      : { head: 'model', hide: true, value: (r) => r.model },
    { head: 'backend', value: (r) => r.backend, cell: AB.backendCell },
    several('threads') ? { head: 'threads', num: true, value: (r) => r.threads } : null,
    several('batch') ? { head: 'batch', num: true, value: (r) => r.batch } : null,
    {
      head: 'median',
      num: true,
      hint: 'median time of one execution; the bar is the 10th to the 90th percentile, on one scale for all rows',
      value: (r) => r.ns_median,
      cell: span,
    },
    {
      head: 'p99',
      num: true,
      hint: 'needs 100 samples',
      value: (r) => r.ns_p99,
      cell: (r) => AB.time(r.ns_p99),
    },
    {
      head: 'images/s',
      num: true,
      value: (r) => r.images_per_second,
      cell: (r) => AB.digits(r.images_per_second),
    },
    {
      head: 'GFLOP/s',
      num: true,
      hint: 'operations of the plain definition over the median',
      value: (r) => r.gflops,
      cell: (r) => AB.digits(r.gflops),
    },
    {
      head: 'of peak',
      num: true,
      hint: 'share of the measured FMA peak; Winograd can exceed 100 %',
      value: (r) => r.peak_share,
      cell: (r) => AB.percent(r.peak_share),
    },
    {
      head: 'speed-up',
      num: true,
      hint: 'oneDNN\u2019s time over this row\u2019s',
      value: AB.speedup,
      cell: AB.speedCell,
    },
    {
      head: 'rel. L2',
      num: true,
      hint: 'relative error of the map against double precision',
      value: (r) => r.rel_l2,
      cell: (r) => AB.small(r.rel_l2),
    },
    { head: 'verdict', value: (r) => r.verdict, cell: AB.verdictChip },
    {
      head: 'plan memory',
      num: true,
      value: (r) => r.planned_bytes,
      cell: (r) => AB.bytes(r.planned_bytes),
    },
  ].filter(Boolean);
};
const methodFilters = [
  { label: 'Run', value: (r) => AB.run(r).name },
  { label: 'Model', value: (r) => r.model },
  { label: 'Backend', value: (r) => r.backend },
  { label: 'Verdict', value: (r) => r.verdict || '' },
];

AB.section('latency', 'Latency', (section) => {
  const rows = AB.kind('method');
  if (!rows.length) return false;
  const settings = [...AB.groups(rows, AB.settingKey).values()].filter((g) =>
    g.some((r) => AB.isNumber(r.ns_median)),
  );
  const compared = rows.filter((r) => AB.isNative(r) && AB.isNumber(AB.speedup(r))),
    faster = compared.filter((r) => r.ratio > 1);
  section.append(
    AB.lede(
      compared.length
        ? `The native backend is faster than oneDNN in *${faster.length} of ${compared.length}* results. A speed-up is shown only where the map also agrees with the reference.`
        : `*${AB.count(rows.length, 'result')}* of methods on models.`,
    ),
  );
  section.append(
    ...AB.panels(
      'Model',
      settings.map((g) => AB.settingName(g[0])),
      3,
      (i) => latencyPanel(settings[i]),
    ).flat(),
  );
  section.append(
    AB.el(
      'div',
      { class: 'card' },
      AB.table(rows, methodColumns(rows), {
        name: 'methods',
        label: 'Latency of methods',
        filters: methodFilters,
      }),
    ),
  );
  section.append(
    AB.how(
      'A dot is the median time of one execution, its bar the range from the 10th to the 90th percentile of the samples: a long bar means a noisy machine or a method whose time varies.',
      'The backends take turns within one run, so that what disturbs one disturbs all: their ratio holds even where times do not. *Click a method* for its samples, its kernels and the command that measures it again.',
    ),
  );
  return true;
});
