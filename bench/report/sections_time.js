// SPDX-License-Identifier: Apache-2.0
// Runs against one another: a comparison of two, and histories with the steps found in them.
'use strict';

/* ---- comparison ---- */

/* A key without its kind and what goes without saying. */
const keyName = (key) =>
  key
    .split('/')
    .slice(1)
    .filter((p) => !/^(threads:1|batch:1|shape=.*)$/.test(p))
    .map((p) =>
      p
        .replace(/^methods=[0-9a-f]+/, 'all methods')
        .replace(/^onednn$/, 'oneDNN')
        .replace(':', ' '),
    )
    .join(' \u00b7 ');
const changeText = (change) =>
  AB.isNumber(change)
    ? `${change > 1 ? '+' : '\u2212'}${AB.digits(100 * Math.abs(change - 1), 2)}\u00a0%`
    : 'steady';
const changeLooks = {
  regression: ['--bad', 'bad', '\u2191 slower'],
  improvement: ['--good', 'good', '\u2193 faster'],
  inconclusive: ['--warn', 'warn', '? undecided'],
  same: ['--c3', '', '= same'],
};
const MOST_COMPARED = 40;

/* Names without the parts that all of them begin with. */
const withoutCommon = (names) => {
  const parts = names.map((n) => n.split(' \u00b7 '));
  let same = 0;
  while (parts.length > 1 && parts.every((p) => p.length > same + 1 && p[same] === parts[0][same]))
    same++;
  return parts.map((p) => p.slice(same).join(' \u00b7 '));
};

const compareChart = (rows) => {
  const timed = rows.filter((r) => AB.isNumber(r.ratio) && AB.isNumber(r.low)),
    size = (r) => Math.abs(Math.log(r.ratio));
  const decided = (r) => (r.change === 'regression' || r.change === 'improvement' ? 0 : 1);
  const shown = timed
    .slice()
    .sort((x, y) => decided(x) - decided(y) || size(y) - size(x))
    .slice(0, MOST_COMPARED)
    .sort((x, y) => y.ratio - x.ratio);
  /* Of undecided rows the dots count, not their bars, which may be endless. */
  const ends = shown.flatMap((r) => (decided(r) ? [r.ratio] : [r.low, r.high]));
  const limits = [Math.min(0.9, AB.least(ends) / 1.05), Math.max(1.1, AB.most(ends) * 1.05)],
    wide = limits[1] / limits[0] > 3;
  if (!shown.length) return null;
  const series = Object.entries(changeLooks)
    .map(([change, [colour, , name]]) => ({
      name: name.slice(2),
      colour,
      points: shown
        .map((r, label) => ({
          label,
          value: r.ratio,
          lo: r.low,
          hi: r.high,
          change: r.change,
          tip: [
            `${changeText(r.ratio)}, between ${changeText(r.low)} and ${changeText(r.high)}`,
            `${AB.time(r.a_ns)} to ${AB.time(r.b_ns)}`,
          ],
        }))
        .filter((p) => p.change === change),
    }))
    .filter((s) => s.points.length);
  return [
    AB.legend(series),
    AB.el(
      'div',
      {
        class: 'scroller',
        tabindex: '0',
        role: 'region',
        'aria-label': 'Changes with their intervals',
      },
      AB.charts.intervals(withoutCommon(shown.map((r) => keyName(r.key))), series, {
        title: 'time of B over time of A',
        log: wide,
        limits,
        ref: 1,
        together: true,
        tick: (v) =>
          Math.abs(v - 1) < 1e-9
            ? 'equal'
            : `${v > 1 ? '+' : '\u2212'}${Number((100 * Math.abs(v - 1)).toPrecision(2))}\u00a0%`,
        label: 'Change of each row with its interval',
      }),
    ),
    timed.length > shown.length
      ? AB.el(
          'p',
          { class: 'sub' },
          `The ${shown.length} rows that changed most; the table has all ${timed.length}.`,
        )
      : null,
  ];
};

AB.section('comparison', 'Comparison', (section) => {
  const c = AB.data.comparison;
  if (!c) return false;
  const of = (change) => c.rows.filter((r) => r.change === change).length;
  section.append(
    AB.el(
      'p',
      { class: 'lede' },
      `${c.b} against ${c.a}: `,
      AB.rich(
        `*${AB.count(of('regression'), 'regression')}*, *${AB.count(of('improvement'), 'improvement')}*, ${of('inconclusive')} undecided, ${of('same')} unchanged.`,
      ),
    ),
  );
  if (c.crossed)
    section.append(
      AB.el(
        'p',
        { class: 'notice' },
        AB.el('b', null, 'Different conditions. '),
        `The two runs differ in ${c.crossed.split('\n').filter(Boolean).join('; ')}.`,
      ),
    );
  const chart = compareChart(c.rows),
    short = c.rows.filter((r) => AB.isNumber(r.ratio) && !AB.isNumber(r.low)).length;
  if (short)
    section.append(
      AB.el(
        'p',
        { class: 'sub' },
        `${AB.count(short, 'row')} of the undecided have too few samples to be judged.`,
      ),
    );
  section.append(
    AB.el(
      'div',
      { class: 'tiles' },
      c.classes.map((k) =>
        tile(
          k.name,
          changeText(k.ratio),
          `geometric mean of ${AB.count(k.rows, 'row')}`,
          k.ratio > 1.01 ? 'bad' : k.ratio < 0.99 ? 'good' : '',
        ),
      ),
    ),
  );
  if (chart) section.append(AB.el('div', { class: 'card' }, chart));
  section.append(
    AB.el(
      'div',
      { class: 'card' },
      AB.table(
        c.rows,
        [
          {
            head: 'row',
            value: (r) => keyName(r.key),
            cell: (r) => AB.el('span', { class: 'name', title: r.key }, keyName(r.key)),
          },
          {
            head: 'verdict',
            value: (r) => r.change,
            cell: (r) =>
              AB.el(
                'span',
                { class: 'chip ' + changeLooks[r.change][1], title: r.why },
                changeLooks[r.change][2],
              ),
          },
          {
            head: 'change',
            num: true,
            value: (r) => r.ratio,
            cell: (r) => (AB.isNumber(r.ratio) ? changeText(r.ratio) : AB.none),
          },
          {
            head: 'interval',
            num: true,
            value: (r) => r.low,
            cell: (r) =>
              AB.isNumber(r.low) ? `${changeText(r.low)} to ${changeText(r.high)}` : AB.none,
          },
          { head: 'A', num: true, hint: c.a, value: (r) => r.a_ns, cell: (r) => AB.time(r.a_ns) },
          { head: 'B', num: true, hint: c.b, value: (r) => r.b_ns, cell: (r) => AB.time(r.b_ns) },
          { head: 'error A', num: true, value: (r) => r.a_error, cell: (r) => AB.small(r.a_error) },
          { head: 'error B', num: true, value: (r) => r.b_error, cell: (r) => AB.small(r.b_error) },
          { head: 'why', value: (r) => r.why || '' },
        ],
        {
          name: 'comparison',
          label: 'Comparison row by row',
          filters: [
            { label: 'Verdict', value: (r) => r.change },
            { label: 'Kind', value: (r) => r.kind },
          ],
        },
      ),
    ),
  );
  for (const [side, keys] of [
    [c.a, c.only_a],
    [c.b, c.only_b],
  ])
    if (keys.length)
      section.append(
        AB.el(
          'details',
          { class: 'how' },
          AB.el('summary', null, `${AB.count(keys.length, 'row')} only in ${side}`),
          AB.el('p', null, keys.slice(0, 200).map(keyName).join('; ')),
        ),
      );
  section.append(
    AB.how(
      'A dot is the time of B over that of A, its bar the confidence interval, widened for the number of rows judged together. A row is *slower* or *faster* only if its whole interval lies beyond the threshold, which is what the user tolerates or three times the noise floor of this machine; *undecided* if the interval straddles it.',
    ),
  );
  return true;
});

/* ---- history ---- */

/* A small line with its steps, for a cell. */
const sparkline = (series, runs) => {
  const width = 130,
    height = 26,
    space = 'http://www.w3.org/2000/svg';
  const logs = series.ns.map(Math.log),
    low = AB.least(logs),
    high = AB.most(logs),
    room = Math.max(high - low, 0.02);
  const middle = (low + high) / 2;
  const x = (run) => 4 + ((width - 8) * run) / Math.max(1, runs - 1),
    y = (v) => height / 2 - ((v - middle) / room) * (height - 8);
  const svg = document.createElementNS(space, 'svg');
  for (const [k, v] of Object.entries({
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    'aria-hidden': 'true',
    class: 'spark',
  }))
    svg.setAttribute(k, v);
  const add = (name, attributes) => {
    const node = document.createElementNS(space, name);
    for (const [k, v] of Object.entries(attributes)) node.setAttribute(k, v);
    svg.append(node);
  };
  add('polyline', {
    points: series.at.map((run, i) => `${x(run).toFixed(1)},${y(logs[i]).toFixed(1)}`).join(' '),
    class: 'path',
  });
  const starts = [0, ...series.breaks],
    ends = [...series.breaks, series.at.length];
  starts.forEach((from, i) =>
    add('line', {
      x1: x(series.at[from]),
      x2: x(series.at[ends[i] - 1]),
      y1: y(Math.log(series.levels[i])),
      y2: y(Math.log(series.levels[i])),
      class: 'level',
    }),
  );
  return svg;
};

const changeCell = (s) =>
  AB.el(
    'span',
    { class: !AB.isNumber(s.change) ? 'dim' : s.change > 1 ? 'down' : 'up' },
    changeText(s.change),
  );
const lastBreak = (s) => (s.breaks.length ? s.breaks[s.breaks.length - 1] : -1);
const shortRevision = (r) => (r || '').replace(/^([0-9a-f]{10})[0-9a-f]*/, '$1');
/* A run on the axis: its day, or its revision where days do not tell runs apart. */
const runLabel = (runs, i) => {
  const days = runs.map((run) => (run.date || '').slice(0, 10));
  const apart = new Set(days).size === runs.length;
  return (!apart && (runs[i].revision || '').slice(0, 7)) || days[i];
};
/* The revisions between which the last step lies. */
const stepRange = (s, runs) => {
  const at = lastBreak(s);
  return at < 0
    ? ''
    : `${shortRevision(runs[s.at[at - 1]].revision)}..${shortRevision(runs[s.at[at]].revision)}`;
};

const historyChart = (series, runs) =>
  AB.charts.place(300, `Time of ${series.key} from run to run`, () => {
    const colour = AB.css('--c1'),
      starts = [0, ...series.breaks],
      ends = [...series.breaks, series.at.length];
    return {
      type: 'scatter',
      data: {
        datasets: [
          {
            label: 'run',
            data: series.at.map((run, i) => ({ x: run, y: series.ns[i] })),
            pointRadius: 4,
            pointStyle: series.at.map((run) => (runs[run].other ? 'rectRot' : 'circle')),
            backgroundColor: AB.charts.faded(colour, 0.75),
            borderColor: AB.css('--card'),
            borderWidth: 1,
          },
          ...starts.map((from, i) => ({
            label: 'level',
            type: 'line',
            pointRadius: 0,
            pointHitRadius: 0,
            borderWidth: 2.5,
            borderColor:
              i && series.levels[i] > series.levels[i - 1]
                ? AB.css('--bad')
                : i
                  ? AB.css('--good')
                  : colour,
            data: [
              { x: series.at[from] - 0.4, y: series.levels[i] },
              { x: series.at[ends[i] - 1] + 0.4, y: series.levels[i] },
            ],
          })),
        ],
      },
      options: {
        scales: {
          x: AB.charts.axis('', {
            type: 'linear',
            min: -0.6,
            max: runs.length - 0.4,
            ticks: {
              stepSize: 1,
              maxRotation: 0,
              autoSkipPadding: 16,
              callback: (i) => (Number.isInteger(i) && runs[i] ? runLabel(runs, i) : ''),
            },
          }),
          y: AB.charts.axis('10th percentile of the time', {
            grace: '8%',
            ticks: { callback: AB.timeTick },
          }),
        },
        interaction: { mode: 'nearest', intersect: false },
        plugins: {
          rulers: {
            lines: series.breaks.map((b) => ({
              x: (series.at[b - 1] + series.at[b]) / 2,
              dash: [4, 4],
            })),
          },
          tooltip: {
            filter: (i) => i.dataset.label === 'run',
            callbacks: {
              title: (i) =>
                i[0] ? `${runs[i[0].raw.x].name}, ${AB.date(runs[i[0].raw.x].date)}` : '',
              label: (i) =>
                [
                  AB.time(i.raw.y),
                  shortRevision(runs[i.raw.x].revision),
                  runs[i.raw.x].other ? 'under other conditions' : '',
                ].filter(Boolean),
            },
          },
        },
      },
      plugins: [AB.charts.rulers],
    };
  });

const historyPanel = (history) => {
  const { runs, series } = history,
    place = AB.el('div'),
    kindOf = { method: 'method', joint: 'one plan', kernel: 'kernel', step: 'step' };
  const show = (s) =>
    place.replaceChildren(
      AB.el('h3', null, keyName(s.key)),
      AB.el(
        'p',
        { class: 'sub' },
        lastBreak(s) < 0
          ? `No step in ${AB.count(s.at.length, 'run')}: ${AB.time(s.levels[0])}`
          : `${changeText(s.change)} at the last step, ${stepRange(s, runs)}: now ${AB.time(s.levels[s.levels.length - 1])}`,
      ),
      historyChart(s, runs),
    );
  show(series[0]);
  const crossed = history.crossed
    ? AB.el(
        'p',
        { class: 'notice' },
        AB.el('b', null, 'Different conditions. '),
        `${history.crossed} of these ${runs.length} runs ${history.crossed === 1 ? 'was' : 'were'} measured under other conditions than the newest; what differs first: ${history.differs}. They are drawn as diamonds; a step beside one may come from that.`,
      )
    : null;
  const others = history.others
    ? AB.el(
        'p',
        { class: 'sub' },
        `${AB.count(history.others, 'run')} under other conditions ${history.others === 1 ? 'is' : 'are'} left out (${history.differs}).`,
      )
    : null;
  return AB.el(
    'div',
    null,
    crossed,
    others,
    AB.el('div', { class: 'card' }, place),
    AB.el(
      'div',
      { class: 'card' },
      AB.table(
        series,
        [
          {
            head: 'row',
            value: (s) => keyName(s.key),
            cell: (s) =>
              AB.el(
                'button',
                {
                  type: 'button',
                  class: 'link long',
                  title: s.key,
                  onclick: () => {
                    show(s);
                    place.scrollIntoView({ block: 'nearest' });
                  },
                },
                keyName(s.key),
              ),
          },
          { head: 'course', value: (s) => s.at.length, cell: (s) => sparkline(s, runs.length) },
          {
            head: 'now',
            num: true,
            value: (s) => s.levels[s.levels.length - 1],
            cell: (s) => AB.time(s.levels[s.levels.length - 1]),
          },
          {
            head: 'last step',
            num: true,
            hint: 'the last level over the one before',
            value: (s) => s.change,
            cell: changeCell,
          },
          { head: 'between', hint: 'revisions', value: (s) => stepRange(s, runs) },
          { head: 'steps', num: true, value: (s) => s.breaks.length },
        ],
        {
          name: 'history',
          label: 'History of each row',
          filters: [{ label: 'Kind', value: (s) => kindOf[s.kind] || s.kind }],
        },
      ),
    ),
  );
};

AB.section('history', 'History', (section) => {
  const histories = AB.data.histories || [];
  if (!histories.length) return false;
  const all = histories.flatMap((h) => h.series).filter((s) => s.kind !== 'step');
  const slower = all.filter((s) => s.change > 1).length,
    faster = all.filter((s) => s.change < 1).length;
  section.append(
    AB.lede(
      slower || faster
        ? `Of *${AB.count(all.length, 'row')}*, *${slower}* became slower at their last step and *${faster}* faster; the others are steady.`
        : `*${AB.count(all.length, 'row')}* over the runs, all of them steady.`,
    ),
  );
  section.append(
    ...AB.panels(
      'Runs',
      histories.map((h) => `${h.name} (${AB.count(h.runs.length, 'run')})`),
      1,
      (i) => historyPanel(histories[i]),
    ).flat(),
  );
  section.append(
    AB.how(
      'A dot is one run: the 10th percentile of its samples, which neighbours on the machine disturb least. A line is a level between steps; a step is drawn where the times before and after differ by more than the noise between neighbouring runs explains.',
      histories.some((h) => h.crossed)
        ? 'Runs under different conditions (CPU, compiler, libraries, settings) are in one history because the report was asked to cross them.'
        : 'Only runs under the same conditions (CPU, compiler, libraries, settings) are in one history.',
    ),
  );
  return true;
});
