// SPDX-License-Identifier: Apache-2.0
// What `attrbench tune` found: the recommended configuration, the points around it, what each knob
// bought, what limits it, forecasts.
'use strict';

/* ---- words and numbers of points ---- */

const latencyRange = (p, key) => (p.latency_ns || {})[key] || {};
const rateRange = (p) => p.images_per_s || {};
const memoryOf = (p) => p.resident_bytes ?? p.peak_bytes;
const served = (p) => AB.isNumber(rateRange(p).value);
const failsAgreement = (p) => p.verdict === 'disagree' || p.dropped === 'agreement';

const rangeWords = (range, format) =>
  AB.isNumber(range.low) || AB.isNumber(range.high)
    ? `${format(range.value)} (${format(range.low)} to ${format(range.high)})`
    : format(range.value);

/* {name, limit} of the latency that was asked for: 'p99=80ms' is a limit of 8e7. */
const askedLatency = (t) => {
  const m = /^p([0-9.]+)=([0-9.]+)(ns|us|ms|s|m)$/.exec(t.slo || '');
  const percent = m ? Number(m[1]) : AB.isNumber(t.quantile) ? 100 * t.quantile : 50;
  const name =
    percent === 50 ? 'median latency' : `${Number(percent.toPrecision(6))}th percentile of latency`;
  const scale = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 6e10 };
  return { name, median: percent === 50, limit: m ? Number(m[2]) * scale[m[3]] : undefined };
};
const askedRange = (p) => p.quantile || {};

const pointNote = (d, p) => {
  if (p.text === d.recommended) return 'recommended';
  if (p.error) return 'not measured';
  if (failsAgreement(p)) return 'maps disagree';
  const dropped = {
    slo: 'misses the latency limit',
    dominated: p.front ? 'front' : 'behind the best',
    roof: 'cannot be faster',
    error: 'not measured',
  };
  if (p.dropped) return dropped[p.dropped] || p.dropped;
  if (p.alike) return 'within noise of the best';
  return p.front ? 'front' : served(p) ? 'measured' : 'not visited';
};
const noteLooks = {
  recommended: 'good',
  'maps disagree': 'bad',
  'not measured': 'bad',
  'misses the latency limit': 'warn',
};

const pointLines = (p) =>
  [
    `${rangeWords(rateRange(p), AB.digits)} images/s`,
    ...['p50', 'p90', 'p99']
      .filter((k) => AB.isNumber(latencyRange(p, k).value))
      .map((k) => `${k}: ${rangeWords(latencyRange(p, k), AB.time)}`),
    AB.isNumber(memoryOf(p)) ? `${AB.bytes(memoryOf(p))} resident` : '',
    AB.isNumber(p.rel_l2) ? `relative error ${AB.small(p.rel_l2)}` : '',
  ].filter(Boolean);

const showPoint = (d, p) => {
  const facts = [
    ...Object.entries(p.deploy).map(([k, v]) => [
      k,
      Array.isArray(v) ? v.map((c) => `[${c.join(', ')}]`).join(' ') : String(v),
    ]),
    ['images/s', rangeWords(rateRange(p), AB.digits)],
    ...['p50', 'p90', 'p99']
      .filter((k) => AB.isNumber(latencyRange(p, k).value))
      .map((k) => [k, rangeWords(latencyRange(p, k), AB.time)]),
    [askedLatency(d.tune).name, rangeWords(askedRange(p), AB.time)],
    ['requests', (p.latency_ns || {}).requests],
    ['visits', p.visits],
    ['resident memory', AB.bytes(p.resident_bytes)],
    ['largest memory', AB.bytes(p.peak_bytes)],
    ['planned memory', AB.bytes(p.planned_bytes)],
    ['cold start', AB.time(p.start_ns)],
    ['verdict', p.verdict],
    ['why', p.verdict_reason],
    ['relative L2 error', AB.small(p.rel_l2)],
    ['largest error', AB.small(p.max_err)],
    ['standing', pointNote(d, p)],
  ].filter(([, v]) => v !== undefined && v !== AB.none);
  AB.dialog(
    p.text,
    `${d.model} \u00b7 ${d.method} \u00b7 ${d.name}`,
    AB.el(
      'dl',
      null,
      facts.map(([k, v]) => AB.el('div', null, AB.el('dt', null, k), AB.el('dd', null, String(v)))),
      p.error
        ? AB.el('div', { class: 'full' }, AB.el('dt', null, 'error'), AB.el('dd', null, p.error))
        : null,
    ),
  );
};

/* ---- the recommendation ---- */

const knobWords = (c) => [
  `${AB.count(c.instances, 'instance')} of ${AB.count(c.threads, 'thread')}`,
  `${AB.count(c.batch, 'image')} at a time`,
  `backend ${c.backend}`,
  c.backend.startsWith('native')
    ? c.algo === 'auto'
      ? 'the algorithm measured fastest for each layer'
      : 'direct convolutions alone'
    : null,
  c.memory === 'lean' ? 'weights kept once' : null,
  {
    cores: 'each thread on a core of its own',
    smt: 'the threads of an instance on one core',
    free: 'threads where the system puts them',
  }[c.place],
  c.pages === 'small' ? 'small pages' : 'large pages as advised',
  c.denormals === 'flush' ? 'subnormal numbers flushed to zero' : null,
];

/* '1.90 s' with a small unit. */
const withUnit = (text) => {
  const [value, unit] = text.split('\u00a0');
  return [value, unit ? AB.el('small', null, '\u00a0' + unit) : null];
};
const rangeTile = (name, range, format, note, style) => {
  if (!AB.isNumber(range.value)) return null;
  const interval =
    AB.isNumber(range.low) || AB.isNumber(range.high)
      ? `${format(range.low)} to ${format(range.high)}`
      : 'no interval: too few samples';
  return tile(
    name,
    withUnit(format(range.value)),
    [interval, note].filter(Boolean).join('; '),
    style,
  );
};

const recommendedTiles = (d, p) => {
  const asked = askedLatency(d.tune),
    latency = askedRange(p);
  const state = !asked.limit
    ? ''
    : latency.high <= asked.limit
      ? 'good'
      : latency.low > asked.limit
        ? 'bad'
        : 'warn';
  const limit = asked.limit ? `limit ${AB.time(asked.limit)}` : '';
  return [
    rangeTile('Images a second', rateRange(p), AB.digits),
    asked.median ? null : rangeTile('Median latency', latencyRange(p, 'p50'), AB.time),
    rangeTile(asked.name[0].toUpperCase() + asked.name.slice(1), latency, AB.time, limit, state),
    AB.isNumber(memoryOf(p))
      ? tile('Memory', withUnit(AB.bytes(memoryOf(p))), 'resident while serving')
      : null,
    AB.isNumber(p.rel_l2)
      ? tile(
          'Agreement',
          AB.small(p.rel_l2),
          `relative error of its maps against double precision: ${p.verdict}`,
          p.verdict === 'agree' ? 'good' : p.verdict === 'disagree' ? 'bad' : '',
        )
      : null,
    AB.isNumber(p.start_ns)
      ? tile(
          'Cold start',
          withUnit(AB.time(p.start_ns)),
          'from the start of the process to its first map',
        )
      : null,
  ].filter(Boolean);
};

const askedWords = (t) =>
  [
    { latency: 'lowest latency', throughput: 'most images a second', memory: 'least memory' }[
      t.objective
    ],
    t.slo ? `with ${t.slo}` : null,
    t.min_agree > 0 ? `maps within ${AB.small(t.min_agree)}` : null,
    t.load ? `load ${t.load}` : null,
  ]
    .filter(Boolean)
    .join(', ');

const deploymentNotices = (d, p) => {
  const t = d.tune,
    notes = [];
  if (!p)
    notes.push([
      'Nothing meets the requirements. ',
      'The chart shows what comes closest: points above the limits asked for.',
    ]);
  if (t.interrupted) notes.push(['Interrupted. ', 'This is what was known until then.']);
  else if (t.complete === false)
    notes.push(['The budget ended first. ', 'More time could still change the answer.']);
  if (t.pace_most > 1.1 * t.pace_least)
    notes.push([
      'A changing pace. ',
      `The machine's pace went from ${AB.percent(t.pace_least)} to ${AB.percent(t.pace_most)} of that at the` +
        ' first visit; values are as at that pace.',
    ]);
  if (t.stolen >= 0.02 || (t.stolen >= 0 && t.dropped > 0))
    notes.push([
      t.provisional ? 'Provisional. ' : 'A busy host. ',
      `The host of this virtual machine took ${AB.percent(t.stolen)} of the CPU time that these visits asked for` +
        (t.dropped ? ` (${AB.count(t.dropped, 'more visit')} dropped for that).` : '.') +
        (t.provisional
          ? ' What is best in such minutes need not be in others: repeat it when the host is quieter.'
          : ''),
    ]);
  if (p && p.overloaded)
    notes.push(['Overloaded. ', 'Requests arrived faster than this configuration serves them.']);
  return notes.map(([head, text]) => AB.el('p', { class: 'notice' }, AB.el('b', null, head), text));
};

const commandCard = (d) =>
  (d.tune.commands || []).length
    ? AB.el(
        'div',
        { class: 'card' },
        AB.el('h3', null, 'To run exactly this'),
        d.tune.commands.map((c) => AB.el('pre', { tabindex: '0' }, c)),
      )
    : null;

/* ---- the front ---- */

/* Those that no other one beats in both: small x, large y. */
const unbeaten = (points, x, y) =>
  points
    .filter(
      (p) => !points.some((q) => x(q) <= x(p) && y(q) >= y(p) && (x(q) < x(p) || y(q) > y(p))),
    )
    .sort((a, b) => x(a) - x(b));

const spreadAxis = (title, values, tick) => {
  const low = AB.least(values),
    high = AB.most(values),
    wide = low > 0 && high / low > 8;
  const room = wide ? (high / low) ** 0.06 : (high - low) * 0.08 || high * 0.1 || 1;
  return AB.charts.axis(title, {
    type: wide ? 'logarithmic' : 'linear',
    min: wide ? low / room : Math.max(0, low - room),
    max: wide ? high * room : high + room,
    ticks: {
      callback: wide ? AB.charts.logTicks(tick) : tick,
      maxRotation: 0,
      autoSkip: !wide,
      autoSkipPadding: 14,
    },
  });
};

const pointGroups = (d) => [
  ['fails agreement', '--bad', (p) => failsAgreement(p), 'crossRot'],
  ['recommended', '--good', (p) => p.text === d.recommended, 'rectRot'],
  ['on the front', '--c1', (p) => p.front, 'circle'],
  ['other points', '--c3', () => true, 'circle'],
];

/* x: {title, value: point => number, range: point => {low, high}, tick, limit}. */
const frontChart = (d, x, label) => {
  const points = d.points.filter((p) => served(p) && AB.isNumber(x.value(p))),
    y = (p) => rateRange(p).value;
  if (points.length < 2) return null;
  const taken = new Set();
  const groups = pointGroups(d)
    .map(([name, colour, test, style]) => {
      const of = points.filter((p) => !taken.has(p) && test(p));
      of.forEach((p) => taken.add(p));
      return { name, colour, style, points: of };
    })
    .filter((g) => g.points.length);
  const line = unbeaten(
    points.filter((p) => !failsAgreement(p) && (p.front || p.text === d.recommended)),
    x.value,
    y,
  );
  const config = () => ({
    type: 'scatter',
    data: {
      datasets: [
        ...groups.map((g) => ({
          label: g.name,
          colour: AB.css(g.colour),
          whisker: { alpha: 0.35, width: 2 },
          pointStyle: g.style,
          pointRadius: g.name === 'recommended' ? 9 : 5,
          pointHoverRadius: g.name === 'recommended' ? 10 : 7,
          backgroundColor: AB.charts.faded(
            AB.css(g.colour),
            g.name === 'other points' ? 0.55 : 0.9,
          ),
          borderColor: g.style === 'crossRot' ? AB.css(g.colour) : AB.css('--card'),
          borderWidth: g.style === 'crossRot' ? 2 : 1,
          name: g.name === 'recommended' ? { text: 'recommended', at: 0 } : undefined,
          data: g.points.map((p) => ({
            x: x.value(p),
            y: y(p),
            lo: x.range(p).low,
            hi: x.range(p).high,
            ylo: rateRange(p).low,
            yhi: rateRange(p).high,
            point: p,
          })),
        })),
        {
          label: 'front',
          type: 'line',
          pointRadius: 0,
          pointHitRadius: 0,
          borderWidth: 1.5,
          borderColor: AB.charts.faded(AB.css('--c1'), 0.7),
          data: line.map((p) => ({ x: x.value(p), y: y(p) })),
        },
      ],
    },
    options: {
      layout: { padding: { right: 8, top: 8 } },
      scales: {
        x: spreadAxis(x.title, [...points.map(x.value), ...(x.limit ? [x.limit] : [])], x.tick),
        y: spreadAxis('images a second', points.map(y), (v) => String(Number(v.toPrecision(3)))),
      },
      interaction: { mode: 'nearest', intersect: true },
      onClick: (_, hits) => {
        const group = hits[0] && groups[hits[0].datasetIndex];
        if (group) showPoint(d, group.points[hits[0].index]);
      },
      plugins: {
        rulers: {
          lines: x.limit ? [{ x: x.limit, dash: [4, 4], colour: AB.css('--warn') }] : [],
        },
        tooltip: {
          filter: (i) => Boolean(i.raw.point),
          callbacks: {
            title: (i) => (i[0] && i[0].raw.point ? i[0].raw.point.text : ''),
            label: (i) =>
              i.raw.point ? [pointNote(d, i.raw.point), ...pointLines(i.raw.point)] : '',
          },
        },
      },
    },
    plugins: [AB.charts.whiskers, AB.charts.rulers, AB.charts.names],
  });
  return [
    AB.legend([
      ...groups.map((g) => ({ name: g.name, colour: g.colour })),
      ...(x.limit
        ? [{ name: `limit asked for, ${x.tick(x.limit)}`, colour: '--warn', line: true }]
        : []),
    ]),
    AB.charts.place(360, label, config),
  ];
};

/* The quantile asked for, or the median where hardly any point has samples enough for that. */
const frontLatency = (d) => {
  const asked = askedLatency(d.tune);
  return d.points.filter((p) => AB.isNumber(askedRange(p).value)).length > 1
    ? { ...asked, range: askedRange }
    : { name: 'median latency', range: (p) => latencyRange(p, 'p50') };
};

const frontCards = (d) => {
  const latency = frontLatency(d);
  const cards = [
    [
      'Speed against latency',
      'Up and to the left is better; the bars are intervals. Click a point for all about it.',
      frontChart(
        d,
        {
          title: latency.name,
          value: (p) => latency.range(p).value,
          range: latency.range,
          tick: AB.timeTick,
          limit: latency.limit,
        },
        'Images a second against latency, a dot for each configuration',
      ),
    ],
    [
      'Speed against memory',
      'What the serving process keeps in memory.',
      frontChart(
        d,
        { title: 'resident memory', value: memoryOf, range: () => ({}), tick: AB.bytes },
        'Images a second against memory, a dot for each configuration',
      ),
    ],
  ].filter(([, , chart]) => chart);
  return cards.length
    ? AB.el(
        'div',
        { class: 'cols' },
        cards.map(([head, sub, chart]) =>
          AB.el(
            'div',
            { class: 'card' },
            AB.el('h3', null, head),
            AB.el('p', { class: 'sub' }, sub),
            chart,
          ),
        ),
      )
    : null;
};

/* ---- the table ---- */

const rangeColumn = (head, range, format, hint) => ({
  head,
  num: true,
  hint,
  value: (p) => range(p).value,
  cell: (p) => AB.el('span', { title: rangeWords(range(p), format) }, format(range(p).value)),
});

const pointColumns = (d) => {
  const several = (key) => new Set(d.points.map((p) => p.deploy[key])).size > 1;
  const knob = (head, key, num) =>
    several(key) ? { head, num, value: (p) => p.deploy[key] } : null;
  return [
    {
      head: 'configuration',
      value: (p) => p.text,
      cell: (p) =>
        AB.el(
          'button',
          { type: 'button', class: 'link long', title: p.text, onclick: () => showPoint(d, p) },
          p.text,
        ),
    },
    {
      head: 'standing',
      value: (p) => pointNote(d, p),
      cell: (p) =>
        AB.el(
          'span',
          { class: 'chip ' + (noteLooks[pointNote(d, p)] || ''), title: p.error },
          pointNote(d, p),
        ),
    },
    rangeColumn('images/s', rateRange, AB.digits, 'hover shows the interval'),
    ...['p50', 'p90', 'p99'].map((k) => rangeColumn(k, (p) => latencyRange(p, k), AB.time)),
    {
      head: 'resident',
      num: true,
      value: (p) => p.resident_bytes,
      cell: (p) => AB.bytes(p.resident_bytes),
    },
    {
      head: 'cold start',
      num: true,
      hint: 'from the start of the process to its first map',
      value: (p) => p.start_ns,
      cell: (p) => AB.time(p.start_ns),
    },
    { head: 'rel. L2', num: true, value: (p) => p.rel_l2, cell: (p) => AB.small(p.rel_l2) },
    { head: 'verdict', value: (p) => p.verdict, cell: AB.verdictChip },
    { head: 'visits', num: true, value: (p) => p.visits },
    knob('backend', 'backend'),
    knob('algorithm', 'algo'),
    knob('memory', 'memory'),
    knob('threads', 'threads', true),
    knob('instances', 'instances', true),
    knob('batch', 'batch', true),
    knob('place', 'place'),
    knob('pages', 'pages'),
    knob('subnormals', 'denormals'),
  ].filter(Boolean);
};

const pointTable = (d) =>
  AB.el(
    'div',
    { class: 'card' },
    AB.el('h3', null, 'All points'),
    AB.table(d.points, pointColumns(d), {
      name: 'points',
      label: 'Configurations that were measured',
      sort: { column: 2, direction: -1 },
      filters: [
        { label: 'Standing', value: (p) => pointNote(d, p) },
        { label: 'Backend', value: (p) => p.deploy.backend },
        { label: 'Threads x instances', value: (p) => `${p.deploy.threads}x${p.deploy.instances}` },
        { label: 'Batch', value: (p) => p.deploy.batch },
      ],
    }),
  );
