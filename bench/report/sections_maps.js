// SPDX-License-Identifier: Apache-2.0
// Methods on models: heat maps, agreement, all methods in one plan.
'use strict';

/* ---- heat maps ---- */

const captionOf = (map) => {
  const row = AB.kind('method').find(
    (r) =>
      r.run === map.run &&
      r.model === map.model &&
      r.method === map.method &&
      (!map.backend || r.backend === map.backend),
  );
  if (!row) return [];
  return [
    AB.isNumber(row.ns_median)
      ? AB.el('span', null, [
          AB.time(row.ns_median),
          AB.isNumber(AB.speedup(row)) ? `, ${AB.ratio(row.ratio)} oneDNN` : '',
        ])
      : null,
    AB.isNumber(row.rel_l2)
      ? AB.el(
          'span',
          null,
          `${row.verdict === 'agree' ? '\u2713' : '\u2717 ' + row.verdict + ','} error ${AB.small(row.rel_l2)}`,
        )
      : null,
  ];
};

const mapFigure = (map) => {
  const name = map.method || 'input',
    source = 'data:image/png;base64,' + map.png;
  const image = AB.el('img', {
    src: source,
    alt: `${name} on ${map.image || map.model}`,
    loading: 'lazy',
    decoding: 'async',
  });
  image.addEventListener('load', () => {
    if (image.naturalWidth < 150) image.classList.add('pixels');
  });
  const open = () => {
    const big = AB.el('img', { src: source, alt: image.alt, class: image.className });
    AB.dialog(
      name,
      [map.model, map.image, map.target].filter(Boolean).join(' \u00b7 '),
      big,
      AB.el('figcaption', null, captionOf(map)),
    );
  };
  return AB.el(
    'figure',
    null,
    AB.el('button', { type: 'button', onclick: open, 'aria-label': `Enlarge ${name}` }, image),
    AB.el('figcaption', null, AB.el('b', null, name), captionOf(map)),
  );
};

AB.section('maps', 'Heat maps', (section) => {
  const { maps, sheets } = AB.data;
  if (!maps.length && !sheets.length) return false;
  section.append(
    AB.lede(
      'What each method says about the image: red speaks *for* the class, blue *against* it. Below each map stand its latency and its error against double precision.',
    ),
    maps.length
      ? AB.el('p', null, AB.el('span', { class: 'scale' }, 'against', AB.el('i'), 'for'))
      : '',
  );
  const groups = [
    ...AB.groups(maps, (m) => [m.run, m.model, m.image, m.target].join('\n')).values(),
  ];
  const names = groups.map((g) =>
    [
      AB.data.runs.length > 1 ? AB.data.runs[g[0].run].name : null,
      g[0].model,
      g[0].image,
      g[0].target,
    ]
      .filter(Boolean)
      .join(' \u00b7 '),
  );
  section.append(
    ...AB.panels('Image', names, 4, (i) =>
      AB.el(
        'div',
        { class: 'card' },
        AB.el('h3', { style: 'margin-bottom:10px' }, names[i]),
        AB.el('div', { class: 'gallery' }, groups[i].map(mapFigure)),
      ),
    ).flat(),
  );
  for (const sheet of sheets) {
    section.append(
      AB.el(
        'div',
        { class: 'card' },
        AB.data.runs.length > 1
          ? AB.el('h3', { style: 'margin-bottom:10px' }, AB.data.runs[sheet.run].name)
          : null,
        AB.el(
          'div',
          {
            class: 'scroller',
            tabindex: '0',
            role: 'region',
            'aria-label': 'Sheet of heat maps',
            style: 'max-height:none',
          },
          AB.el('img', {
            class: 'sheet',
            style: 'min-width:820px',
            src: 'data:image/png;base64,' + sheet.png,
            alt: 'All heat maps of the run, methods side by side',
          }),
        ),
      ),
    );
  }
  return true;
});

/* ---- agreement ---- */

const heatCell = (row) => {
  if (!row)
    return AB.el(
      'td',
      null,
      AB.el('button', { type: 'button', class: 'none', disabled: true }, ''),
    );
  const e = row.err_over_bound,
    over = row.verdict === 'disagree';
  const known = AB.isNumber(e) && (row.verdict === 'agree' || over);
  const t = known ? Math.min(1, Math.max(0, 1 + Math.log10(Math.max(e, 1e-5)) / 5)) : 0;
  const text = known ? AB.small(row.rel_l2) : row.verdict || AB.none;
  const title = known
    ? `relative L2 error ${AB.small(row.rel_l2)}; ${AB.percent(e, 1)} of the limit`
    : row.verdict_reason || row.error || '';
  return AB.el(
    'td',
    null,
    AB.el(
      'button',
      {
        type: 'button',
        class: over ? 'over' : known ? 'heat' + (t > 0.82 ? ' strong' : '') : 'none',
        '--t': t.toFixed(3),
        title,
        onclick: () => AB.showRow(row),
      },
      over ? '\u2717 ' + text : text,
    ),
  );
};

AB.section('agreement', 'Agreement', (section) => {
  const rows = AB.kind('method').filter((r) => r.verdict && r.backend !== 'reference');
  const judged = rows.filter((r) => r.verdict === 'agree' || r.verdict === 'disagree');
  if (!judged.length) return false;
  const bad = judged.filter((r) => r.verdict === 'disagree');
  const worst = judged.reduce((a, r) =>
    (r.err_over_bound || 0) > (a.err_over_bound || 0) ? r : a,
  );
  section.append(
    AB.lede(
      bad.length
        ? `*${bad.length} of ${judged.length}* maps disagree with the double-precision reference.`
        : `All *${judged.length}* maps agree with the double-precision reference. The closest to its limit uses *${AB.percent(worst.err_over_bound, 1)}* of it.`,
    ),
  );
  const settings = [...AB.groups(rows, AB.settingKey).values()];
  section.append(
    AB.el(
      'div',
      { class: settings.length > 1 && settings.length <= 4 ? 'pair' : null },
      AB.panels(
        'Model',
        settings.map((g) => AB.settingName(g[0])),
        4,
        (i) => {
          const set = arrange(settings[i]);
          return AB.el(
            'div',
            { class: 'card' },
            AB.el('h3', { style: 'margin-bottom:8px' }, AB.settingName(settings[i][0])),
            AB.el(
              'div',
              {
                class: 'tablebox',
                tabindex: '0',
                role: 'region',
                'aria-label': 'Agreement of methods and backends',
                style: 'border:0',
              },
              AB.el(
                'table',
                { class: 'matrix' },
                AB.el(
                  'thead',
                  null,
                  AB.el(
                    'tr',
                    { class: 'pin' },
                    AB.el('th', { scope: 'col' }, AB.el('span', null, 'method')),
                    set.backends.map((b) =>
                      AB.el(
                        'th',
                        { scope: 'col', style: 'text-align:center' },
                        AB.el('span', null, AB.backendName(b)),
                      ),
                    ),
                  ),
                ),
                AB.el(
                  'tbody',
                  null,
                  set.methods.map((m) =>
                    AB.el(
                      'tr',
                      { class: 'pin' },
                      AB.el('th', { scope: 'row' }, m || AB.none),
                      set.backends.map((b) => heatCell(set.row(m, b))),
                    ),
                  ),
                ),
              ),
            ),
          );
        },
      ),
    ),
  );
  section.append(
    AB.el(
      'p',
      { style: 'margin:10px 0 0' },
      AB.el(
        'span',
        { class: 'ramp' },
        'far below its limit',
        AB.el('i'),
        'at its limit',
        AB.el('i', { class: 'over' }),
        'beyond',
      ),
    ),
  );
  section.append(
    AB.how(
      'Each cell is the relative L2 error of a map against the same map computed in double precision. Its *colour* is the error as a share of the limit that rounding justifies for that method, on a logarithmic scale: methods that divide by small numbers may differ more.',
      'Where rounding decided a ReLU or a pooling tie differently, and can explain it, the reference follows that decision before it is compared.',
    ),
  );
  return true;
});

/* ---- all methods in one plan ---- */

AB.section('together', 'One plan', (section) => {
  const rows = AB.kind('joint').filter((r) => AB.isNumber(r.ns_median));
  if (!rows.length) return false;
  const labels = rows.map((r) => `${AB.settingName(r)} \u00b7 ${AB.backendName(r.backend)}`);
  const points = (key) =>
    rows
      .map((r, i) => ({
        label: i,
        value: r[key],
        lo: key === 'ns_median' ? r.ns_p10 : NaN,
        hi: key === 'ns_median' ? r.ns_p90 : NaN,
        tip: [
          AB.time(r[key]),
          AB.isNumber(r.joint_ratio) ? `together over one by one: ${AB.digits(r.joint_ratio)}` : '',
        ].filter(Boolean),
      }))
      .filter((p) => AB.isNumber(p.value));
  const best = rows
    .filter((r) => AB.isNumber(r.joint_ratio))
    .reduce((a, r) => (!a || r.joint_ratio < a.joint_ratio ? r : a), null);
  section.append(
    AB.lede(
      best
        ? `One plan serves all methods: on ${best.model} *${best.n_methods} methods take ${AB.time(best.ns_median)}* together, ${AB.time(best.sum_single_ns)} one by one.`
        : 'All methods in one plan.',
    ),
  );
  section.append(
    AB.el(
      'div',
      { class: 'card' },
      AB.legend([
        { name: 'together', colour: '--c1' },
        { name: 'one by one, summed', colour: '--c3' },
      ]),
      AB.el(
        'div',
        { class: 'scroller' },
        AB.charts.intervals(
          labels,
          [
            { name: 'together', colour: '--c1', points: points('ns_median') },
            { name: 'one by one', colour: '--c3', points: points('sum_single_ns') },
          ],
          {
            title: 'time of all methods',
            log: true,
            tick: AB.timeTick,
            label: 'All methods together and one by one',
          },
        ),
      ),
      AB.table(
        rows,
        [
          {
            head: 'model',
            value: (r) => AB.settingName(r),
            cell: (r) => AB.rowLink(AB.settingName(r), r),
          },
          { head: 'backend', value: (r) => r.backend, cell: AB.backendCell },
          { head: 'methods', num: true, value: (r) => r.n_methods },
          {
            head: 'together',
            num: true,
            value: (r) => r.ns_median,
            cell: (r) => AB.time(r.ns_median),
          },
          {
            head: 'one by one',
            num: true,
            value: (r) => r.sum_single_ns,
            cell: (r) => AB.time(r.sum_single_ns),
          },
          {
            head: 'ratio',
            num: true,
            value: (r) => r.joint_ratio,
            cell: (r) => AB.digits(r.joint_ratio),
          },
          {
            head: 'plan memory',
            num: true,
            value: (r) => r.planned_bytes,
            cell: (r) => AB.bytes(r.planned_bytes),
          },
        ],
        { name: 'together', label: 'All methods in one plan' },
      ),
    ),
  );
  return true;
});
