// SPDX-License-Identifier: Apache-2.0
// Tables: sorted by their headers, filtered by words and choices, a page of rows at a time, so that
// thousands stay quick; and everything about one row.
'use strict';

const cellText = (column, row) => {
  const v = column.value(row);
  return AB.isNumber(v) ? String(v) : v || '';
};

const compare = (column, direction) => (a, b) => {
  const x = column.value(a),
    y = column.value(b);
  const noX = x === undefined || x === null || x === '' || Number.isNaN(x);
  const noY = y === undefined || y === null || y === '' || Number.isNaN(y);
  if (noX || noY) return noX - noY; // what is not known stands last, up or down
  const order =
    typeof x === 'number' && typeof y === 'number'
      ? x - y
      : String(x).localeCompare(String(y), 'en', { numeric: true });
  return direction * order;
};

const download = (name, columns, rows) => {
  const quote = (t) =>
    /^[=+\-@\t\r]/.test(t) && Number.isNaN(Number(t))
      ? `"'${t.replace(/"/g, '""')}"`
      : /[",\r\n]/.test(t)
        ? `"${t.replace(/"/g, '""')}"`
        : t;
  const lines = [
    columns.map((c) => quote(c.head)),
    ...rows.map((r) => columns.map((c) => quote(cellText(c, r)))),
  ];
  const url = URL.createObjectURL(
    new Blob([lines.map((l) => l.join(',')).join('\r\n')], { type: 'text/csv' }),
  );
  AB.el('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
};

/* columns: [{head, hint, num, hide, value: row => number or text, cell: row => node or text}]; the first
 * one names the row. options: {name, filters: [{label, value}], sort: {column, direction}, size}. */
AB.table = (rows, allColumns, options) => {
  const columns = allColumns.filter((c) => !c.hide); // hidden ones are found by words
  const state = {
    words: '',
    picks: (options.filters || []).map(() => ''),
    sort: options.sort || null,
    page: 0,
    size: options.size || 25,
  };
  const texts = new Map();
  const textOf = (row) => {
    if (!texts.has(row))
      texts.set(
        row,
        allColumns
          .map((c) => (c.num ? '' : cellText(c, row)))
          .join(' ')
          .toLowerCase(),
      );
    return texts.get(row);
  };
  const heads = columns.map((c, i) =>
    AB.el(
      'th',
      { scope: 'col', class: c.num ? 'num' : null, 'aria-sort': 'none', title: c.hint },
      AB.el('button', { type: 'button', onclick: () => sortBy(i) }, c.head),
    ),
  );
  const body = AB.el('tbody');
  const count = AB.el('span', { class: 'count', 'aria-live': 'polite' });
  const before = AB.el(
    'button',
    { type: 'button', class: 'page', onclick: () => turn(-1) },
    'Previous',
  );
  const after = AB.el('button', { type: 'button', class: 'page', onclick: () => turn(1) }, 'Next');
  let found = rows;

  const show = () => {
    const pages = Math.max(1, Math.ceil(found.length / state.size));
    state.page = Math.min(Math.max(state.page, 0), pages - 1);
    const from = state.page * state.size,
      part = found.slice(from, from + state.size);
    body.replaceChildren(
      ...part.map((row) =>
        AB.el(
          'tr',
          { class: 'pin' },
          columns.map((c, i) =>
            AB.el(
              i ? 'td' : 'th',
              { scope: i ? null : 'row', class: c.num ? 'num' : c.wide ? 'wide' : null },
              c.cell ? c.cell(row) : cellText(c, row) || AB.none,
            ),
          ),
        ),
      ),
    );
    before.hidden = after.hidden = pages === 1;
    before.disabled = state.page === 0;
    after.disabled = state.page === pages - 1;
    const range = pages > 1 ? `${from + 1}\u2013${from + part.length} of ` : '';
    count.textContent =
      range +
      AB.count(found.length, 'row') +
      (found.length < rows.length ? ` (${rows.length.toLocaleString('en-US')} in all)` : '');
  };
  const update = () => {
    const words = state.words.toLowerCase().split(/\s+/).filter(Boolean);
    found = rows.filter(
      (row) =>
        words.every((w) => textOf(row).includes(w)) &&
        state.picks.every((p, i) => !p || String(options.filters[i].value(row)) === p),
    );
    if (state.sort)
      found = found.slice().sort(compare(columns[state.sort.column], state.sort.direction));
    heads.forEach((h, i) =>
      h.setAttribute(
        'aria-sort',
        !state.sort || state.sort.column !== i
          ? 'none'
          : state.sort.direction > 0
            ? 'ascending'
            : 'descending',
      ),
    );
    show();
  };
  const sortBy = (i) => {
    const same = state.sort && state.sort.column === i;
    state.sort = { column: i, direction: same ? -state.sort.direction : 1 };
    state.page = 0;
    update();
  };
  const turn = (step) => {
    state.page += step;
    show();
  };

  const search = AB.el('input', {
    type: 'search',
    placeholder: 'words, e.g. lrp native',
    oninput: () => {
      state.words = search.value;
      state.page = 0;
      update();
    },
  });
  const picks = (options.filters || []).map((f, i) => {
    const values = [...new Set(rows.map((r) => String(f.value(r))))].filter(
      (v) => v && v !== 'undefined',
    );
    if (values.length < 2) return null;
    values.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
    const select = AB.el(
      'select',
      {
        onchange: () => {
          state.picks[i] = select.value;
          state.page = 0;
          update();
        },
      },
      AB.el('option', { value: '' }, 'all'),
      values.map((v) => AB.el('option', { value: v }, v)),
    );
    return AB.el('label', { class: 'field' }, f.label, select);
  });
  const few = rows.length < 8;
  update();
  return AB.el(
    'div',
    null,
    few
      ? null
      : AB.el(
          'div',
          { class: 'tools' },
          AB.el('label', { class: 'field grow' }, 'Filter', search),
          picks,
          AB.el(
            'div',
            { class: 'right' },
            AB.el(
              'button',
              {
                type: 'button',
                class: 'quiet',
                onclick: () => download(options.name + '.csv', columns, found),
              },
              'Download CSV',
            ),
          ),
        ),
    AB.el(
      'div',
      { class: 'tablebox', tabindex: '0', role: 'region', 'aria-label': options.label },
      AB.el('table', null, AB.el('thead', null, AB.el('tr', { class: 'pin' }, heads)), body),
    ),
    AB.el(
      'div',
      { class: 'tools', style: 'margin:10px 0 0' },
      count,
      AB.el('div', { class: 'right' }, before, after),
    ),
  );
};

/* ---- cells ---- */

/* A time with its p10 to p90 on a logarithmic track that all rows share. */
AB.spanCells = (rows) => {
  const low = Math.log(AB.least(rows.map((r) => r.ns_p10 ?? r.ns_median))),
    high = Math.log(AB.most(rows.map((r) => r.ns_p90 ?? r.ns_median)));
  const place = (ns) => (high > low ? (100 * (Math.log(ns) - low)) / (high - low) : 50);
  return (r) => {
    if (!AB.isNumber(r.ns_median))
      return AB.el('span', { class: 'dim', title: r.error }, r.error ? 'not measured' : AB.none);
    const from = place(r.ns_p10 ?? r.ns_median),
      to = place(r.ns_p90 ?? r.ns_median);
    return [
      AB.time(r.ns_median),
      AB.el(
        'span',
        { class: 'span', 'aria-hidden': 'true', '--k': `var(${AB.backendColour(r.backend)})` },
        AB.el('i', { style: `left:${from.toFixed(1)}%;width:${(to - from).toFixed(1)}%` }),
        AB.el('b', { style: `left:${place(r.ns_median).toFixed(1)}%` }),
      ),
    ];
  };
};
AB.speedCell = (r) => {
  const v = AB.speedup(r);
  if (!AB.isNumber(v))
    return AB.el(
      'span',
      { class: 'dim', title: r.verdict === 'disagree' ? 'its result is wrong' : r.ratio_reason },
      AB.none,
    );
  if (r.backend === 'reference') return AB.el('span', { class: 'dim' }, AB.ratio(v));
  return AB.el('span', { class: v > 1.02 ? 'up' : v < 0.98 ? 'down' : null }, AB.ratio(v));
};
AB.backendCell = (r) => [
  AB.el('span', { class: 'dot', '--k': `var(${AB.backendColour(r.backend)})` }),
  AB.backendName(r.backend),
];
/* The name of a row, which opens everything that is known about it. */
AB.rowLink = (text, row) =>
  AB.el(
    'button',
    { type: 'button', class: 'link', title: text, onclick: () => AB.showRow(row) },
    text,
  );

/* ---- all about one row ---- */

const detailFormats = {
  ns_min: AB.time,
  ns_p10: AB.time,
  ns_median: AB.time,
  ns_p90: AB.time,
  ns_p99: AB.time,
  setup_ns: AB.time,
  first_ns: AB.time,
  sum_single_ns: AB.time,
  flops: (v) => AB.digits(v / 1e9) + '\u00a0GFLOP',
  bytes: AB.bytes,
  model_bytes: AB.bytes,
  planned_bytes: AB.bytes,
  peak_bytes: AB.bytes,
  peak_share: (v) => AB.percent(v, 1),
  peak_share_best: (v) => AB.percent(v, 1),
  ratio: AB.ratio,
  rel_l2: AB.small,
  max_err: AB.small,
  err_over_bound: (v) => AB.digits(v, 2),
  steady: (v) => (v ? 'yes' : 'no'),
  picked: (v) => (v ? 'yes' : 'no'),
};
const detailNames = {
  ns_min: 'least time',
  ns_p10: '10th percentile',
  ns_median: 'median',
  ns_p90: '90th percentile',
  ns_p99: '99th percentile',
  ratio: 'speed-up over oneDNN',
  rel_l2: 'relative L2 error',
  max_err: 'largest error',
  err_over_bound: 'error over its limit',
  setup_ns: 'making the plan',
  first_ns: 'first execution',
  bytes: 'memory traffic, each byte once',
  planned_bytes: 'plan memory',
  peak_bytes: 'growth of the process',
  model_bytes: 'weights of the model',
  peak_share: 'share of the FMA peak',
  sum_single_ns: 'one by one',
  iou1: 'IoU, top 1 %',
  iou5: 'IoU, top 5 %',
};
const longFields = [
  'repro',
  'error',
  'verdict_reason',
  'ratio_reason',
  'kernels',
  'methods',
  'shape',
  'samples_ns',
  'run',
  'kind',
];

const samplesChart = (row) =>
  AB.charts.place(170, 'Samples in the order they were taken', () => ({
    type: 'scatter',
    data: {
      datasets: [
        {
          data: row.samples_ns.map((y, x) => ({ x: x + 1, y })),
          pointRadius: 2.5,
          backgroundColor: AB.charts.faded(AB.css(AB.backendColour(row.backend)), 0.6),
          borderWidth: 0,
        },
      ],
    },
    options: {
      scales: {
        x: AB.charts.axis(
          row.samples > row.samples_ns.length
            ? `sample (${row.samples_ns.length} of ${row.samples}, evenly spaced)`
            : 'sample',
          { min: 0, ticks: { precision: 0 } },
        ),
        y: AB.charts.axis('', { ticks: { callback: AB.time, maxTicksLimit: 6 } }),
      },
      plugins: {
        rulers: { lines: [{ y: row.ns_median, colour: AB.css('--faint') }] },
        tooltip: { callbacks: { label: (i) => AB.time(i.raw.y) } },
      },
    },
    plugins: [AB.charts.rulers],
  }));

AB.rowName = (r) =>
  [
    r.model,
    r.method || (r.kind === 'joint' ? 'all methods in one plan' : null),
    r.kind === 'kernel' ? r.shape : null,
    r.kind === 'kernel' || r.kind === 'step' ? r.op : null,
  ]
    .filter(Boolean)
    .join(' \u00b7 ');
AB.showRow = (row) => {
  const facts = Object.entries(row)
    .filter(([k]) => !longFields.includes(k))
    .map(([k, v]) =>
      AB.el(
        'div',
        null,
        AB.el('dt', null, detailNames[k] || k.replace(/_/g, ' ')),
        AB.el(
          'dd',
          null,
          detailFormats[k]
            ? detailFormats[k](v)
            : AB.isNumber(v)
              ? String(Number(v.toPrecision(8)))
              : String(v),
        ),
      ),
    );
  const words = ['error', 'verdict_reason', 'ratio_reason', 'kernels', 'methods']
    .filter((k) => row[k])
    .map((k) =>
      AB.el(
        'div',
        { class: 'full' },
        AB.el('dt', null, k.replace(/_/g, ' ')),
        AB.el('dd', null, row[k]),
      ),
    );
  AB.dialog(
    AB.rowName(row),
    `${AB.backendName(row.backend)} \u00b7 ${AB.run(row).name}`,
    row.samples_ns ? samplesChart(row) : null,
    AB.el('dl', null, facts, words),
    row.repro
      ? [
          AB.el('div', { class: 'sub' }, 'The command that measures this again:'),
          AB.el('pre', { tabindex: '0' }, row.repro),
        ]
      : null,
  );
};
