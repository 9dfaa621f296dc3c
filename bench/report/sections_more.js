// SPDX-License-Identifier: Apache-2.0
// Single convolutions, the roofline, the steps of plans, the environment.
'use strict';

/* ---- kernels ---- */

const layerOf = (r) => (r.shape || '').split(' ').slice(1).join(' ') || r.shape || '';
const problemOf = (r) => (r.shape || '').split(' ')[0];
const isBackward = (r) => (r.op || '').endsWith('bwd');
const kernelSetting = (r) => `${r.run}\n${r.batch}`;
const kernelSettingName = (r) => [AB.run(r).name, `batch ${r.batch}`].join(' \u00b7 ');

const kernelPanel = (rows) => {
  const picked = rows.filter((r) => r.picked && AB.isNumber(AB.speedup(r)));
  const labels = [...new Set(picked.map(layerOf))];
  const series = [
    ['forward', '--c1', false],
    ['backward', '--c4', true],
  ].map(([name, colour, backward]) => ({
    name,
    colour,
    points: picked
      .filter((r) => isBackward(r) === backward)
      .map((r) => ({
        label: labels.indexOf(layerOf(r)),
        value: r.ratio,
        tip: [
          `${AB.ratio(r.ratio)} over oneDNN`,
          r.kernels,
          `${AB.time(r.ns_min)}, ${AB.digits(r.gflops_best)} GFLOP/s`,
          problemOf(r),
        ],
      })),
  }));
  const values = picked.map((r) => r.ratio),
    slower = values.filter((v) => v < 0.95).length;
  return AB.el(
    'div',
    { class: 'card' },
    AB.el('h3', null, kernelSettingName(rows[0])),
    AB.el(
      'p',
      { class: 'sub' },
      `Layers in the order of the network; geometric mean ${AB.ratio(AB.geomean(values))}, ${slower ? AB.count(slower, 'row') + ' below 0.95\u00d7' : 'none below 0.95\u00d7'}`,
    ),
    AB.legend(series.filter((s) => s.points.length)),
    AB.el(
      'div',
      { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': 'Speed-up of each layer' },
      AB.charts.intervals(labels, series, {
        title: 'speed-up over oneDNN\u2019s best',
        log: true,
        from: 1,
        ref: 1,
        tick: (v) => Number(v.toPrecision(3)) + '\u00d7',
        label: 'Speed-up of each layer',
      }),
    ),
  );
};

AB.section('kernels', 'Kernels', (section) => {
  const rows = AB.kind('kernel');
  if (!rows.length) return false;
  const picked = rows.filter((r) => r.picked && AB.isNumber(AB.speedup(r))),
    mean = AB.geomean(picked.map((r) => r.ratio));
  section.append(
    AB.lede(
      picked.length
        ? `On *${AB.count(picked.length, 'layer and pass', 'layers and passes')}* the kernel that attrbench picks is *${AB.ratio(mean)}* as fast as the fastest that oneDNN has, in the geometric mean.`
        : `*${AB.count(rows.length, 'result')}* of single kernels.`,
    ),
  );
  const settings = [...AB.groups(rows, kernelSetting).values()].filter((g) =>
    g.some((r) => r.picked && AB.isNumber(r.ratio)),
  );
  section.append(
    ...AB.panels(
      'Run',
      settings.map((g) => kernelSettingName(g[0])),
      1,
      (i) => kernelPanel(settings[i]),
    ).flat(),
  );
  const span = AB.spanCells(rows);
  section.append(
    AB.el(
      'div',
      { class: 'card', style: 'margin-top:14px' },
      AB.table(
        rows,
        [
          { head: 'layer', value: layerOf, cell: (r) => AB.rowLink(layerOf(r), r) },
          AB.data.runs.length > 1 ? { head: 'run', value: (r) => AB.run(r).name } : null,
          { head: 'shape', value: problemOf },
          { head: 'pass', value: (r) => (isBackward(r) ? 'backward' : 'forward') },
          {
            head: 'kernel',
            value: (r) => r.kernels,
            cell: (r) => [
              r.kernels,
              r.picked ? AB.el('span', { title: 'attrbench picks it' }, ' \u2605') : null,
            ],
          },
          { head: 'backend', value: (r) => r.backend, cell: AB.backendCell },
          { head: 'median', num: true, value: (r) => r.ns_median, cell: span },
          { head: 'least', num: true, value: (r) => r.ns_min, cell: (r) => AB.time(r.ns_min) },
          {
            head: 'GFLOP/s',
            num: true,
            hint: 'from the least time',
            value: (r) => r.gflops_best ?? r.gflops,
            cell: (r) => AB.digits(r.gflops_best ?? r.gflops),
          },
          {
            head: 'of peak',
            num: true,
            value: (r) => r.peak_share_best ?? r.peak_share,
            cell: (r) => AB.percent(r.peak_share_best ?? r.peak_share),
          },
          {
            head: 'speed-up',
            num: true,
            hint: 'oneDNN\u2019s least time over this row\u2019s',
            value: AB.speedup,
            cell: AB.speedCell,
          },
          { head: 'rel. L2', num: true, value: (r) => r.rel_l2, cell: (r) => AB.small(r.rel_l2) },
          { head: 'verdict', value: (r) => r.verdict, cell: AB.verdictChip },
        ].filter(Boolean),
        {
          name: 'kernels',
          label: 'Single kernels',
          filters: [
            { label: 'Run', value: (r) => AB.run(r).name },
            { label: 'Batch', value: (r) => r.batch },
            { label: 'Pass', value: (r) => (isBackward(r) ? 'backward' : 'forward') },
            { label: 'Backend', value: (r) => r.backend },
            { label: 'Picked', value: (r) => (r.picked ? 'yes' : 'no') },
          ],
        },
      ),
    ),
  );
  return true;
});

/* ---- roofline ---- */

const roofsOf = (run) => {
  const cpu = (run.context || {}).cpu || {},
    peaks = cpu.fma_peak_gflops_per_core || {},
    reads = cpu.read_bandwidth_gbs || {};
  const lines = [];
  for (const [isa, v] of Object.entries(peaks)) {
    if (!AB.isNumber(v) || isa === 'plain' || isa === 'ref') continue;
    const same = lines.find((l) => Math.abs(l.peak / v - 1) < 0.03); // one line, both names
    if (same) same.isa += ` and ${isa}`;
    else lines.push({ isa, peak: v });
  }
  lines.forEach((l) => {
    l.name = `peak of ${l.isa}: ${AB.digits(l.peak)} GFLOP/s`;
  });
  for (const [level, v] of Object.entries(reads))
    if (AB.isNumber(v)) lines.push({ name: `${level}: ${AB.digits(v)} GB/s`, bandwidth: v });
  return lines;
};

const rooflineRows = () => {
  for (const kind of ['kernel', 'step', 'method']) {
    const rows = AB.kind(kind).filter(
      (r) =>
        r.flops > 0 && r.bytes > 0 && (r.gflops_best || r.gflops) > 0 && r.backend !== 'reference',
    );
    if (rows.length) return rows;
  }
  return [];
};

const rooflinePanel = (rows) => {
  const rate = (r) => (r.gflops_best ?? r.gflops) / (r.threads || 1),
    intensity = (r) => r.flops / r.bytes;
  const points = rows.filter((r) => r.kind !== 'kernel' || r.picked !== false || !AB.isNative(r));
  const groups = [
    ...AB.groups(points, (r) => (r.kind === 'step' ? stepClass(r) : r.backend)).entries(),
  ];
  const roofs = roofsOf(AB.run(rows[0])),
    peak = AB.most(roofs.map((r) => r.peak));
  const xs = points.map(intensity),
    low = AB.least(xs) / 1.6,
    high = AB.most(xs) * 1.6;
  const ys = points.map(rate),
    floor = AB.least(ys) / 1.6,
    top = AB.most([...ys, peak]) * 1.5;
  const colour = (name, i) => (rows[0].kind === 'step' ? stepColour(name) : AB.backendColour(name));
  const config = () => ({
    type: 'scatter',
    data: {
      datasets: [
        ...groups.map(([name, list], i) => ({
          label: name,
          data: list.map((r) => ({ x: intensity(r), y: rate(r), row: r })),
          pointRadius: 4,
          backgroundColor: AB.charts.faded(AB.css(colour(name, i)), 0.6),
          borderColor: AB.css('--card'),
          borderWidth: 0.5,
        })),
        ...roofs.map((roof) => ({
          label: roof.name,
          name: { text: roof.name, at: roof.peak ? 1 : 0 },
          type: 'line',
          pointRadius: 0,
          pointHitRadius: 0,
          borderWidth: 1.5,
          borderColor: AB.css('--faint'),
          borderDash: roof.peak ? [] : [5, 4],
          data: roof.peak
            ? [
                { x: low, y: roof.peak },
                { x: high, y: roof.peak },
              ]
            : [
                { x: low, y: low * roof.bandwidth },
                {
                  x: Math.min(high, (peak || top) / roof.bandwidth),
                  y: Math.min(high * roof.bandwidth, peak || top),
                },
              ],
        })),
      ],
    },
    options: {
      scales: {
        x: AB.charts.axis('FLOP for each byte that must move', {
          type: 'logarithmic',
          min: low,
          max: high,
          ticks: {
            callback: AB.charts.logTicks((v) => String(Number(v.toPrecision(2)))),
            maxRotation: 0,
            autoSkip: false,
          },
        }),
        y: AB.charts.axis('GFLOP/s of one thread', {
          type: 'logarithmic',
          min: floor,
          max: top,
          ticks: {
            callback: AB.charts.logTicks((v) => String(Number(v.toPrecision(2)))),
            autoSkip: false,
          },
        }),
      },
      interaction: { mode: 'nearest', intersect: true },
      onClick: (_, hits) =>
        hits[0] &&
        AB.isNumber(hits[0].index) &&
        groups[hits[0].datasetIndex] &&
        AB.showRow(groups[hits[0].datasetIndex][1][hits[0].index]),
      plugins: {
        tooltip: {
          filter: (i) => Boolean(i.raw.row),
          callbacks: {
            title: (i) => (i[0] && i[0].raw.row ? AB.rowName(i[0].raw.row) : ''),
            label: (i) =>
              i.raw.row
                ? [
                    `${i.raw.row.kernels || i.raw.row.backend}`,
                    `${AB.digits(i.raw.y)} GFLOP/s, ${AB.digits(i.raw.x)} FLOP/byte`,
                    AB.time(i.raw.row.ns_min ?? i.raw.row.ns_median),
                  ]
                : '',
          },
        },
      },
    },
    plugins: [AB.charts.names],
  });
  return AB.el(
    'div',
    { class: 'card' },
    AB.el('h3', null, AB.run(rows[0]).name),
    AB.el(
      'p',
      { class: 'sub' },
      roofs.some((r) => r.bandwidth)
        ? 'Each dot is one ' + (rows[0].kind === 'method' ? 'method' : rows[0].kind)
        : 'This run has measured no bandwidths: --profile and --kernels do',
    ),
    AB.legend([
      ...groups.map(([name], i) => ({
        name: stepName[name] || AB.backendName(name),
        colour: colour(name, i),
      })),
      ...(roofs.length ? [{ name: 'roofs of the machine', colour: '--faint', line: true }] : []),
    ]),
    AB.charts.place(420, 'Roofline: operations a second over operations per byte', config),
  );
};

AB.section('roofline', 'Roofline', (section) => {
  const rows = rooflineRows();
  if (!rows.length) return false;
  section.append(
    AB.lede(
      'How near each result comes to what the machine can do: the flat lines are its measured arithmetic peak, the slanted ones what its caches and memory deliver.',
    ),
  );
  const runs = [...AB.groups(rows, (r) => r.run).values()];
  section.append(
    ...AB.panels(
      'Run',
      runs.map((g) => AB.run(g[0]).name),
      1,
      (i) => rooflinePanel(runs[i]),
    ).flat(),
  );
  section.append(
    AB.how(
      'Points far right do much arithmetic for each byte and can reach the peak; points far left are held back by memory. *Above the peak* lie Winograd convolutions, which need fewer multiplications than the plain definition that is counted. Bytes count each operand and weight once.',
    ),
  );
  return true;
});

/* ---- steps ---- */

const stepClasses = ['conv_fwd', 'conv_bwd', 'dense_fwd', 'dense_bwd', 'pooling', 'elementwise'];
const stepClass = (r) => {
  const op = (r.op || '').toLowerCase();
  if (/^(conv|dwconv|winograd)/.test(op)) return op.endsWith('bwd') ? 'conv_bwd' : 'conv_fwd';
  if (op.startsWith('dense')) return op.endsWith('bwd') ? 'dense_bwd' : 'dense_fwd';
  return op.includes('pool') ? 'pooling' : 'elementwise';
};
const stepName = {
  conv_fwd: 'convolution forward',
  conv_bwd: 'convolution backward',
  dense_fwd: 'fully connected forward',
  dense_bwd: 'fully connected backward',
  pooling: 'pooling',
  elementwise: 'element by element',
};
const stepColour = (name) =>
  ['--c1', '--c4', '--c5', '--c7', '--c6', '--c3'][stepClasses.indexOf(name)];
const stepOp = (r) => (r.op || '').toLowerCase().replace(/_fwd$/, '').replace(/_bwd$/, ' backward');
const stepTotal = (rows) => rows.reduce((s, r) => s + (r.ns_median || 0), 0);
const stepOwner = (r) => [AB.settingKey({ ...r, shape: '' }), r.backend, r.method].join('\n');
const stepOwnerName = (r) => `${r.method || 'all methods'}`;

const stackedSteps = (owners) => {
  const labels = owners.map((rows) => stepOwnerName(rows[0]));
  const used = stepClasses.filter((c) =>
    owners.some((rows) => rows.some((r) => stepClass(r) === c)),
  );
  const config = () => ({
    type: 'bar',
    data: {
      labels,
      datasets: used.map((c) => ({
        label: stepName[c],
        backgroundColor: AB.css(stepColour(c)),
        borderColor: AB.css('--card'),
        borderWidth: { right: 1 },
        borderSkipped: false,
        maxBarThickness: 18,
        data: owners.map((rows) => stepTotal(rows.filter((r) => stepClass(r) === c))),
      })),
    },
    options: {
      indexAxis: 'y',
      scales: {
        x: AB.charts.axis('time of the steps', {
          stacked: true,
          position: 'top',
          ticks: { callback: AB.timeTick, maxRotation: 0, autoSkipPadding: 14 },
        }),
        y: AB.charts.axis('', {
          stacked: true,
          grid: { display: false },
          ticks: { autoSkip: false, color: AB.css('--ink'), crossAlign: 'far' },
        }),
      },
      interaction: { mode: 'index', axis: 'y', intersect: false },
      plugins: {
        tooltip: {
          callbacks: {
            label: (i) => (i.raw ? `${i.dataset.label}: ${AB.time(i.raw)}` : null),
            footer: (items) => 'in all ' + AB.time(items.reduce((s, i) => s + i.raw, 0)),
          },
        },
      },
    },
  });
  return [
    AB.legend(used.map((c) => ({ name: stepName[c], colour: stepColour(c) }))),
    AB.el(
      'div',
      { class: 'scroller' },
      AB.charts.place(owners.length * 28 + 56, 'Time of each method by kind of step', config),
    ),
  ];
};

const stepColumns = (rows) => {
  const total = stepTotal(rows),
    order = new Map(rows.map((r, i) => [r, i + 1]));
  return [
    {
      head: 'step',
      value: (r) => order.get(r),
      cell: (r) => AB.rowLink(`${order.get(r)} ${stepOp(r)}`, r),
    },
    { head: 'operation', hide: true, value: stepOp },
    rows.some((r) => r.layer) ? { head: 'layer', value: (r) => r.layer } : null,
    { head: 'result', value: (r) => r.shape },
    { head: 'kernel', value: (r) => r.kernels },
    { head: 'time', num: true, value: (r) => r.ns_median, cell: (r) => AB.time(r.ns_median) },
    {
      head: 'share',
      num: true,
      value: (r) => r.ns_median / total,
      cell: (r) => [
        AB.percent(r.ns_median / total, 1),
        AB.el(
          'span',
          { class: 'span', 'aria-hidden': 'true', '--k': `var(${stepColour(stepClass(r))})` },
          AB.el('i', {
            style: `left:0;width:${Math.min(100, (100 * r.ns_median) / AB.most(rows.map((s) => s.ns_median))).toFixed(1)}%;opacity:.8`,
          }),
        ),
      ],
    },
    { head: 'GFLOP/s', num: true, value: (r) => r.gflops, cell: (r) => AB.digits(r.gflops) },
    {
      head: 'of peak',
      num: true,
      value: (r) => r.peak_share,
      cell: (r) => AB.percent(r.peak_share),
    },
    { head: 'bytes', num: true, value: (r) => r.bytes, cell: (r) => AB.bytes(r.bytes) },
  ].filter(Boolean);
};

AB.section('steps', 'Steps', (section) => {
  const rows = AB.kind('step').filter((r) => AB.isNumber(r.ns_median));
  if (!rows.length) return false;
  const owners = [...AB.groups(rows, stepOwner).values()];
  const settings = [
    ...AB.groups(owners, (o) =>
      [AB.settingKey({ ...o[0], shape: '' }), o[0].backend].join('\n'),
    ).values(),
  ];
  const name = (o) => `${AB.settingName(o[0][0])} \u00b7 ${AB.backendName(o[0][0].backend)}`;
  const convolution =
    stepTotal(rows.filter((r) => stepClass(r).startsWith('conv'))) / stepTotal(rows);
  section.append(
    AB.lede(
      `Where the time of each method goes, step by step: *${AB.percent(convolution)}* of it is convolutions.`,
    ),
  );
  section.append(
    ...AB.panels('Model and backend', settings.map(name), 2, (i) =>
      AB.el(
        'div',
        { class: 'card' },
        AB.el('h3', null, name(settings[i])),
        stackedSteps(settings[i]),
      ),
    ).flat(),
  );
  const place = AB.el('div');
  section.append(
    AB.el(
      'div',
      { class: 'card', style: 'margin-top:14px' },
      AB.chooser(
        'Steps of',
        owners.map((o) => `${name([o])} \u00b7 ${stepOwnerName(o[0])}`),
        (i) =>
          place.replaceChildren(
            AB.table(owners[i], stepColumns(owners[i]), {
              name: 'steps',
              label: 'Steps of one plan',
              size: 50,
            }),
          ),
      ),
      place,
    ),
  );
  return true;
});

/* ---- environment ---- */

const factText = (v) =>
  AB.isNumber(v) && !Number.isInteger(v) ? String(Number(v.toPrecision(4))) : String(v);
const flatten = (value, path, into) => {
  if (value && typeof value === 'object' && !Array.isArray(value))
    for (const [k, v] of Object.entries(value)) flatten(v, path ? `${path}.${k}` : k, into);
  else
    into.set(
      path,
      Array.isArray(value)
        ? value
            .map((v) => (v && typeof v === 'object' ? JSON.stringify(v) : factText(v)))
            .join(', ')
        : value === null
          ? AB.none
          : factText(value),
    );
  return into;
};

AB.section('environment', 'Environment', (section) => {
  const hidden = new Set(['summary', 'maps', 'kernels', 'schema']);
  const runs = [...AB.data.runs, ...AB.data.deployments.filter((d) => d.context)];
  if (!runs.length) return false;
  const facts = runs.map((run) => {
    const context = Object.fromEntries(
      Object.entries(run.context || {}).filter(([k]) => !hidden.has(k)),
    );
    return flatten({ source: run.source, ...context }, '', new Map());
  });
  const keys = [...new Set(facts.flatMap((f) => [...f.keys()]))].filter((k) =>
    facts.some((f) => (f.get(k) ?? AB.none) !== AB.none),
  );
  const differs = (k) => new Set(facts.map((f) => f.get(k))).size > 1;
  const mayDiffer =
    /^(source|date|system\.(cpu_pressure|load_average)|cpu\.(fma_peak|read_band).*|interrupted)/;
  const shown =
    runs.length > 1 ? [...keys.filter(differs), ...keys.filter((k) => !differs(k))] : keys;
  section.append(
    AB.lede(
      runs.length > 1
        ? 'What must be equal for times to be comparable; rows that differ come first, marked where it matters.'
        : 'What a reader must know to compare these numbers with others.',
    ),
  );
  section.append(
    AB.el(
      'div',
      { class: 'tablebox', tabindex: '0', role: 'region', 'aria-label': 'Environment of the runs' },
      AB.el(
        'table',
        { class: 'env' },
        AB.el(
          'thead',
          null,
          AB.el(
            'tr',
            { class: 'pin' },
            AB.el('th', { scope: 'col' }, AB.el('span', null, 'what')),
            runs.map((r) => AB.el('th', { scope: 'col' }, AB.el('span', null, r.name))),
          ),
        ),
        AB.el(
          'tbody',
          null,
          shown.map((k) =>
            AB.el(
              'tr',
              { class: 'pin' + (differs(k) && !mayDiffer.test(k) ? ' differs' : '') },
              AB.el('th', { scope: 'row' }, k.replace(/_/g, ' ').replace(/\./g, ' \u203a ')),
              facts.map((f) => AB.el('td', null, f.get(k) ?? AB.none)),
            ),
          ),
        ),
      ),
    ),
  );
  return true;
});
