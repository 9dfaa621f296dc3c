// SPDX-License-Identifier: Apache-2.0
// Around a recommended configuration: what each knob bought, what limits it, the largest rate, the
// confirmation, forecasts; and the section of all deployments.
'use strict';

const gainText = (v) =>
  !AB.isNumber(v)
    ? AB.none
    : `${v >= 1 ? '+' : '\u2212'}${AB.digits(100 * Math.abs(v - 1), 2)}\u00a0%`;

const knobCard = (d) => {
  const knobs = (d.knobs || []).slice().sort((a, b) => b.gain - a.gain);
  if (!knobs.length) return null;
  const certain = (k) => (k.low > 1 ? '--good' : k.high < 1 ? '--bad' : '--c3');
  const names = {
    '--good': 'helps for certain',
    '--c3': 'within noise',
    '--bad': 'costs: chosen for another reason',
  };
  const series = Object.entries(names)
    .map(([colour, name]) => ({
      name,
      colour,
      points: knobs
        .map((k, label) => ({
          label,
          value: k.gain,
          lo: k.low,
          hi: k.high,
          colour: certain(k),
          tip: [
            `${gainText(k.gain)}, between ${gainText(k.low)} and ${gainText(k.high)}`,
            `${k.value} instead of ${k.other}`,
          ],
        }))
        .filter((p) => p.colour === colour),
    }))
    .filter((s) => s.points.length);
  const ends = knobs.flatMap((k) => [k.gain, k.low, k.high]);
  return AB.el(
    'div',
    { class: 'card' },
    AB.el('h3', null, 'What each knob bought'),
    AB.el(
      'p',
      { class: 'sub' },
      'The recommended configuration against the same with that knob alone turned; the bar is the interval.',
    ),
    AB.legend(series),
    AB.el(
      'div',
      { class: 'scroller', tabindex: '0', role: 'region', 'aria-label': 'Gain of each knob' },
      AB.charts.intervals(
        knobs.map((k) => `${k.knob}: ${k.value}, not ${k.other}`),
        series,
        {
          title: 'better by',
          log: AB.most(ends) / Math.max(AB.least(ends), 1e-3) > 4,
          ref: 1,
          together: true,
          tick: (v) => (Math.abs(v - 1) < 1e-9 ? 'equal' : gainText(v)),
          label: 'Gain of each knob with its interval',
        },
      ),
    ),
  );
};

const limitCard = (d) => {
  const l = d.limits;
  if (!l) return null;
  const share = l.share || {};
  const lines = [
    ['compute', l.compute_reached, 'near the arithmetic peak'],
    ['memory', l.memory_reached, 'near the read bandwidth'],
    ['neither', undefined, 'near neither'],
  ]
    .filter(([k]) => AB.isNumber(share[k]))
    .map(
      ([k, reached, words]) =>
        `${AB.percent(share[k])} of the time in steps ${words}` +
        (AB.isNumber(reached) ? ` (${AB.percent(reached)} of it)` : ''),
    );
  if (AB.isNumber(l.gflops))
    lines.push(
      `${AB.digits(l.gflops)} GFLOP/s in all` +
        (AB.isNumber(l.peak_gflops) ? ` of ${AB.digits(l.peak_gflops)}` : ''),
    );
  if (l.winograd) lines.push('Winograd steps do fewer multiplications than are counted');
  if (l.alone) lines.push('profiled while the other instances were idle');
  return AB.el(
    'div',
    { class: 'card' },
    AB.el('h3', null, 'What limits it'),
    l.verdict ? AB.el('p', null, l.verdict) : null,
    AB.el('p', { class: 'sub' }, lines.join('; ')),
    (l.layers || []).length
      ? AB.table(
          l.layers,
          [
            { head: 'layer', value: (s) => s.name || 'no layer' },
            {
              head: 'share',
              num: true,
              value: (s) => s.share,
              cell: (s) => AB.percent(s.share, 1),
            },
            {
              head: 'GFLOP/s',
              num: true,
              value: (s) => s.gflops,
              cell: (s) => AB.digits(s.gflops),
            },
            {
              head: 'of its roof',
              num: true,
              hint: 'the least time that arithmetic or memory allow, over the time it takes',
              value: (s) => s.roof,
              cell: (s) => AB.percent(s.roof),
            },
          ],
          { name: 'limits', label: 'Layers that take most time', size: 10 },
        )
      : null,
  );
};

const probeLooks = { held: '--good', broken: '--bad', open: '--c3' };
const rateCard = (d) => {
  const m = d.max_rate;
  if (!m) return null;
  const probes = (m.probes || []).filter((p) => AB.isNumber(p.quantile_ns)),
    asked = askedLatency(d.tune);
  const states = Object.keys(probeLooks).filter((s) => probes.some((p) => p.state === s));
  const chart = () => ({
    type: 'scatter',
    data: {
      datasets: states.map((state) => ({
        label: state,
        pointRadius: 6,
        pointStyle: state === 'broken' ? 'crossRot' : 'circle',
        backgroundColor: AB.css(probeLooks[state]),
        borderColor: AB.css(probeLooks[state]),
        borderWidth: 2,
        data: probes
          .filter((p) => p.state === state)
          .map((p) => ({ x: p.rate, y: p.quantile_ns, probe: p })),
      })),
    },
    options: {
      scales: {
        x: spreadAxis(
          'requests a second, arriving at random',
          probes.map((p) => p.rate),
          (v) => String(Number(v.toPrecision(3))),
        ),
        y: spreadAxis(
          asked.name,
          [...probes.map((p) => p.quantile_ns), ...(asked.limit ? [asked.limit] : [])],
          AB.timeTick,
        ),
      },
      plugins: {
        rulers: {
          lines: asked.limit ? [{ y: asked.limit, dash: [4, 4], colour: AB.css('--warn') }] : [],
        },
        tooltip: {
          callbacks: {
            title: (i) =>
              i[0]
                ? `${i[0].raw.x ? AB.digits(i[0].raw.x) + ' a second' : 'one client alone'}: ${i[0].dataset.label}`
                : '',
            label: (i) =>
              [
                AB.time(i.raw.y),
                i.raw.probe.requests ? AB.count(i.raw.probe.requests, 'request') : '',
                i.raw.probe.overloaded ? 'the queue grew all the time' : '',
              ].filter(Boolean),
          },
        },
      },
    },
    plugins: [AB.charts.rulers],
  });
  return AB.el(
    'div',
    { class: 'card' },
    AB.el(
      'h3',
      null,
      m.held > 0 ? `Largest rate: ${AB.digits(m.held)} requests a second` : 'Largest rate',
    ),
    AB.el(
      'p',
      { class: 'sub' },
      [
        m.idle_broken
          ? 'A client that is alone waits too long already: no rate can hold.'
          : AB.isNumber(m.held) && m.held > 0
            ? 'The largest random rate at which the limit held for certain.'
            : 'No rate was shown to hold the limit.',
        AB.isNumber(m.broken) ? `At ${AB.digits(m.broken)} it did not hold.` : null,
        m.confirmed ? 'Served again with other arrivals, it held again.' : null,
        m.note ? `${m.note}.` : null,
      ]
        .filter(Boolean)
        .join(' '),
    ),
    probes.length
      ? [
          AB.legend([
            ...states.map((s) => ({ name: s, colour: probeLooks[s] })),
            ...(asked.limit ? [{ name: 'limit', colour: '--warn', line: true }] : []),
          ]),
          AB.charts.place(260, 'Latency at each rate that was tried', chart),
        ]
      : null,
  );
};

const stateWords = {
  held: ['good', 'the limit held'],
  broken: ['bad', 'the limit was broken'],
  open: ['warn', 'open: too few requests to say'],
};
const confirmCard = (d) => {
  const c = d.confirm;
  if (!c) return null;
  const [style, words] = stateWords[c.state];
  return AB.el(
    'div',
    { class: 'card' },
    AB.el('h3', null, 'Confirmation ', AB.el('span', { class: 'chip ' + style }, words)),
    AB.el(
      'p',
      { class: 'sub' },
      [
        `${AB.digits(c.rate)} requests a second at random` +
          (AB.isNumber(c.seconds) ? ` for ${AB.time(1e9 * c.seconds)}` : ''),
        AB.isNumber(c.requests) ? AB.count(c.requests, 'request') : null,
        `${askedLatency(d.tune).name} ${rangeWords(c.latency_ns || {}, AB.time)}`,
        c.overloaded ? 'the queue grew all the time' : null,
      ]
        .filter(Boolean)
        .join('; '),
    ),
  );
};

/* ---- forecasts ---- */

const forecastChart = (f) => {
  const points = (f.points || []).filter((p) => AB.isNumber(p.ns));
  if (points.length < 2) return null;
  const target = AB.isNumber(f.at) && f.latency_ns ? [{ x: f.at, ...f.latency_ns }] : [];
  const xs = [...points.map((p) => p.x), ...target.map((t) => t.x)],
    ys = [...points.map((p) => p.ns), ...target.flatMap((t) => [t.value, t.low, t.high])];
  const units = {
    batch: 'images of an execution',
    pixels: 'pixels of an image',
    threads: 'threads',
  };
  return AB.charts.place(240, `Measurements and forecast for ${f.what}`, () => ({
    type: 'scatter',
    data: {
      datasets: [
        {
          label: 'measured',
          pointRadius: 5,
          backgroundColor: AB.css('--c1'),
          borderColor: AB.css('--card'),
          data: points.map((p) => ({ x: p.x, y: p.ns })),
        },
        {
          label: 'forecast',
          pointRadius: 6,
          pointStyle: 'rectRot',
          backgroundColor: AB.css('--c2'),
          borderColor: AB.css('--card'),
          data: target.map((t) => ({ x: t.x, y: t.value })),
        },
        ...target
          .filter((t) => AB.isNumber(t.low) && AB.isNumber(t.high))
          .map((t) => ({
            label: 'interval',
            type: 'line',
            pointRadius: 0,
            pointHitRadius: 0,
            borderWidth: 3,
            borderColor: AB.charts.faded(AB.css('--c2'), 0.45),
            data: [
              { x: t.x, y: t.low },
              { x: t.x, y: t.high },
            ],
          })),
        {
          label: 'model',
          type: 'line',
          pointRadius: 0,
          pointHitRadius: 0,
          borderWidth: 1.5,
          borderDash: [5, 4],
          borderColor: AB.css('--faint'),
          data: [
            ...points.filter((p) => AB.isNumber(p.fit_ns)).map((p) => ({ x: p.x, y: p.fit_ns })),
            ...target.map((t) => ({ x: t.x, y: t.value })),
          ].sort((a, b) => a.x - b.x),
        },
      ],
    },
    options: {
      scales: {
        x: spreadAxis(units[f.x] || '', xs, (v) => v.toLocaleString('en-US')),
        y: spreadAxis('time of one execution', ys, AB.timeTick),
      },
      plugins: {
        tooltip: {
          filter: (i) => i.dataset.label === 'measured' || i.dataset.label === 'forecast',
          callbacks: { label: (i) => `${i.dataset.label}: ${AB.time(i.raw.y)}` },
        },
      },
    },
  }));
};

const forecastCard = (f) =>
  AB.el(
    'div',
    { class: 'card' },
    AB.el('h3', null, `Forecast for ${f.what}`),
    AB.el(
      'p',
      { class: 'sub' },
      f.error ||
        [
          f.latency_ns ? `${rangeWords(f.latency_ns, AB.time)} an execution` : null,
          f.images_per_s ? `${rangeWords(f.images_per_s, AB.digits)} images/s` : null,
          'computed, not measured',
        ]
          .filter(Boolean)
          .join(', '),
    ),
    forecastChart(f),
    (f.assumptions || []).length
      ? AB.el(
          'details',
          { class: 'how' },
          AB.el('summary', null, 'What it assumes'),
          f.assumptions.map((a) => AB.el('p', null, a)),
        )
      : null,
  );

/* ---- the section ---- */

const deploymentPanel = (d) => {
  const p = d.points.find((q) => q.text === d.recommended),
    t = d.tune;
  const asked = askedWords(t);
  return [
    AB.el(
      'p',
      { class: 'lede' },
      p
        ? [
            'Deploy ',
            AB.el('b', null, p.text),
            `: ${knobWords(p.deploy).filter(Boolean).join(', ')}. `,
          ]
        : 'No configuration meets the requirements. ',
      `Asked for: ${asked}. `,
      `Of ${AB.count(t.points ?? d.points.length, 'configuration')} ${AB.count(t.visited ?? d.points.filter(served).length, 'was', 'were')} measured`,
      AB.isNumber(t.spent_s) ? ` in ${AB.time(1e9 * t.spent_s)}.` : '.',
      t.twins > 0
        ? ` ${t.twins} more, with algo=direct, have the plans of auto: no layer is one for Winograd.`
        : '',
    ),
    deploymentNotices(d, p),
    p ? AB.el('div', { class: 'tiles' }, recommendedTiles(d, p)) : null,
    frontCards(d),
    pointTable(d),
    knobCard(d),
    limitCard(d),
    rateCard(d),
    confirmCard(d),
    (d.forecast || []).map(forecastCard),
    commandCard(d),
  ]
    .flat(Infinity)
    .filter(Boolean);
};

AB.section('deployment', 'Deployment', (section) => {
  const deployments = AB.data.deployments || [];
  if (!deployments.length) return false;
  section.append(
    ...AB.panels(
      'Deployment',
      deployments.map((d) => `${d.name}: ${d.model}, ${d.method}`),
      1,
      (i) => AB.el('div', null, deploymentPanel(deployments[i])),
    ).flat(),
  );
  section.append(
    AB.how(
      'Each dot is one configuration of the knobs, served by a process of its own under the load: *latency* counts from the moment a client asks to the moment it has its map. A line joins those that no other one beats in both directions. *Crosses* are configurations whose maps disagree with the reference: fast and wrong is not fast.',
      'The recommended one is the simplest of those that do as well as the best. *Intervals of percentiles* come from order statistics and hold whatever the latencies\u2019 distribution; a side that is missing needs more requests.',
      'What a knob bought is measured with all other knobs as recommended; gains of several knobs do not multiply.',
    ),
  );
  return true;
});
