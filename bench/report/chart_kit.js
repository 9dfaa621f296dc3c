// SPDX-License-Identifier: Apache-2.0
// Charts: Chart.js in this page's colours, drawn when they come into view and again when the
// colour scheme changes; dots with intervals; lines of reference.
'use strict';
AB.charts = { live: [], available: typeof Chart !== 'undefined' };

AB.charts.theme = () => {
  if (!AB.charts.available) return;
  const d = Chart.defaults;
  d.color = AB.css('--soft');
  d.borderColor = AB.css('--hair');
  d.font.family = getComputedStyle(document.body).fontFamily;
  d.font.size = 12;
  d.animation = false;
  d.responsive = true;
  d.maintainAspectRatio = false;
  d.plugins.legend.display = false;
  Object.assign(d.plugins.tooltip, {
    backgroundColor: AB.css('--ink'),
    titleColor: AB.css('--card'),
    bodyColor: AB.css('--card'),
    padding: 10,
    cornerRadius: 8,
    displayColors: false,
    titleFont: { weight: '600' },
    caretSize: 5,
  });
};

/* A place for a chart; `config()` is asked for when it is drawn. `label` is for those who do not
 * see it. */
AB.charts.place = (height, label, config) => {
  const box = AB.el('div', {
    class: 'chart',
    '--h': height,
    style: `height:${Math.round(height)}px`,
  });
  if (!AB.charts.available) {
    box.style.height = 'auto';
    box.className = 'nochart';
    box.textContent = 'This build of attrbench has no charts; the table has the same numbers.';
    return box;
  }
  const canvas = AB.el('canvas', { role: 'img', 'aria-label': label });
  box.append(canvas);
  const entry = { canvas, config, chart: null };
  AB.charts.live.push(entry);
  AB.charts.watcher.observe(canvas);
  return box;
};
const draw = (entry) => {
  if (entry.chart) entry.chart.destroy();
  entry.chart = new Chart(entry.canvas, entry.config());
};
AB.charts.watcher = new IntersectionObserver(
  (seen) => {
    for (const s of seen) {
      const entry = s.isIntersecting && AB.charts.live.find((e) => e.canvas === s.target);
      if (entry && !entry.chart) draw(entry);
    }
  },
  { rootMargin: '600px' },
);
/* Charts whose place is gone are forgotten. */
AB.charts.redraw = () => {
  AB.charts.theme();
  AB.charts.live = AB.charts.live.filter(
    (e) => e.canvas.isConnected || (e.chart && e.chart.destroy()),
  );
  AB.charts.live.forEach((e) => e.chart && draw(e));
};
AB.charts.drawAll = () => AB.charts.live.forEach((e) => e.chart || draw(e));

const faded = (colour, alpha) => {
  const v = parseInt(colour.slice(1), 16);
  return `rgb(${v >> 16} ${(v >> 8) & 255} ${v & 255} / ${alpha})`;
};
AB.charts.faded = faded;

/* ---- plugins ---- */

/* Intervals lo..hi of the points, and ylo..yhi upright, under them. */
const whiskers = {
  id: 'whiskers',
  beforeDatasetsDraw(chart) {
    const { ctx, chartArea: a } = chart;
    ctx.save();
    ctx.beginPath();
    ctx.rect(a.left - 4, a.top, a.right - a.left + 8, a.bottom - a.top);
    ctx.clip();
    ctx.lineCap = 'round';
    chart.data.datasets.forEach((set, i) => {
      if (!set.whisker || !chart.isDatasetVisible(i)) return;
      ctx.strokeStyle = faded(set.colour, set.whisker.alpha);
      ctx.lineWidth = set.whisker.width;
      chart.getDatasetMeta(i).data.forEach((element, k) => {
        const p = set.data[k],
          { x, y } = chart.scales;
        const stroke = (x1, y1, x2, y2) => {
          ctx.beginPath();
          ctx.moveTo(x1, y1);
          ctx.lineTo(x2, y2);
          ctx.stroke();
        };
        if (AB.isNumber(p.lo) && AB.isNumber(p.hi))
          stroke(x.getPixelForValue(p.lo), element.y, x.getPixelForValue(p.hi), element.y);
        if (AB.isNumber(p.ylo) && AB.isNumber(p.yhi))
          stroke(element.x, y.getPixelForValue(p.ylo), element.x, y.getPixelForValue(p.yhi));
      });
    });
    ctx.restore();
  },
};

/* Upright and lying lines: options {lines: [{x or y, text, colour, dash}]}. */
const rulers = {
  id: 'rulers',
  beforeDatasetsDraw(chart, _, options) {
    const { ctx, chartArea: a, scales } = chart;
    ctx.save();
    for (const line of options.lines || []) {
      const upright = line.x !== undefined;
      const at = upright ? scales.x.getPixelForValue(line.x) : scales.y.getPixelForValue(line.y);
      if (upright ? at < a.left - 1 || at > a.right + 1 : at < a.top - 1 || at > a.bottom + 1)
        continue;
      ctx.strokeStyle = line.colour || AB.css('--faint');
      ctx.setLineDash(line.dash || []);
      ctx.lineWidth = 1;
      ctx.beginPath();
      ctx.moveTo(upright ? at : a.left, upright ? a.top : at);
      ctx.lineTo(upright ? at : a.right, upright ? a.bottom : at);
      ctx.stroke();
    }
    ctx.restore();
  },
};

/* Names of datasets that have one ({text, at: index of its point}), beside that point. */
const names = {
  id: 'names',
  afterDatasetsDraw(chart) {
    const { ctx, chartArea: a } = chart;
    ctx.save();
    ctx.font = `11px ${Chart.defaults.font.family}`;
    chart.data.datasets.forEach((set, i) => {
      if (!set.name) return;
      const point = chart.getDatasetMeta(i).data[set.name.at],
        width = ctx.measureText(set.name.text).width;
      const x = Math.min(
        Math.max(point.x - (set.name.at ? width + 4 : -4), a.left + 4),
        a.right - width - 4,
      );
      ctx.fillStyle = AB.css('--card');
      ctx.globalAlpha = 0.8;
      ctx.fillRect(x - 3, point.y - 17, width + 6, 14);
      ctx.globalAlpha = 1;
      ctx.fillStyle = AB.css('--soft');
      ctx.fillText(set.name.text, x, point.y - 6);
    });
    ctx.restore();
  },
};
AB.charts.names = names;

/* ---- axes ---- */

/* Ticks of a logarithmic axis: 1, 2 and 5 of each decade where there is room, else 1. */
AB.charts.logTicks = (format) =>
  function (value) {
    const { min, max } = this;
    const decades = Math.log10(max / min);
    const mantissa = Number((value / 10 ** Math.floor(Math.log10(value) + 1e-9)).toPrecision(3));
    const room =
      (this.isHorizontal() ? this.width / 62 : this.height / 26) / Math.max(decades, 0.05); // labels a decade
    const wanted =
      room < 1.5 ? [1] : room < 2.6 ? [1, 3] : room < 7 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7];
    return wanted.includes(mantissa) ? format(value) : '';
  };
AB.charts.axis = (title, extra) => ({
  border: { display: false },
  grid: { color: AB.css('--hair'), borderColor: AB.css('--line'), drawTicks: false },
  title: { display: Boolean(title), text: title, font: { size: 12 }, color: AB.css('--faint') },
  ...extra,
});

const shortened = (text, chart) => {
  const room = chart.width < 420 ? 17 : chart.width < 640 ? 24 : chart.width < 900 ? 34 : 56;
  return text.length <= room ? text : text.slice(0, room - 1) + '\u2026';
};

/* Height of a line of so many dots. */
AB.charts.pitch = (count) => Math.max(25, 7 * count + 6);

/* Dots with intervals, one line of the chart for each label. `series`: [{name, colour (a --name),
 * points: [{label: index, value, lo, hi, tip: [lines]}]}]. options: {title, log, tick, from: draw
 * from this value, ref: a line there, together: each label has one dot,
 * limits: of the axis, whatever is beyond}. */
AB.charts.intervals = (labels, series, options) => {
  const pitch = options.pitch || AB.charts.pitch(options.together ? 1 : series.length);
  const offset = (i) =>
    (options.together ? 0 : 1) *
    (i - (series.length - 1) / 2) *
    Math.min(0.17, 0.7 / series.length);
  const config = () => {
    const all = series
      .flatMap((s) => s.points.flatMap((p) => [p.value, p.lo, p.hi]))
      .filter((v) => AB.isNumber(v) && (!options.log || v > 0));
    if (AB.isNumber(options.ref)) all.push(options.ref);
    const [low, high] = options.limits || [AB.least(all), AB.most(all)];
    const room = options.log ? (high / low) ** 0.04 * 1.02 : (high - low) * 0.05 || 1;
    const format = options.tick || AB.digits;
    return {
      type: 'scatter',
      data: {
        datasets: series.map((s, i) => {
          const colour = AB.css(s.colour);
          return {
            label: s.name,
            colour,
            backgroundColor: colour,
            borderColor: AB.css('--card'),
            borderWidth: 1,
            pointRadius: 5,
            pointHoverRadius: 6,
            whisker:
              options.from !== undefined ? { alpha: 0.45, width: 2.5 } : { alpha: 0.3, width: 6 },
            data: s.points.map((p) => ({
              x: p.value,
              y: p.label + offset(i),
              lo: options.from !== undefined ? options.from : p.lo,
              hi: options.from !== undefined ? p.value : p.hi,
              tip: p.tip,
              label: p.label,
            })),
          };
        }),
      },
      options: {
        layout: { padding: { right: 8 } },
        scales: {
          x: AB.charts.axis(options.title, {
            type: options.log ? 'logarithmic' : 'linear',
            position: 'top',
            min: options.log ? low / room : low - room,
            max: options.log ? high * room : high + room,
            ticks: {
              callback: options.log ? AB.charts.logTicks(format) : format,
              maxRotation: 0,
              autoSkip: !options.log,
              autoSkipPadding: 10,
            },
          }),
          y: AB.charts.axis('', {
            type: 'linear',
            reverse: true,
            min: -0.6,
            max: labels.length - 0.4,
            afterBuildTicks: (axis) => {
              axis.ticks = labels.map((_, value) => ({ value }));
            },
            ticks: {
              autoSkip: false,
              color: AB.css('--ink'),
              callback(v) {
                return shortened(labels[v] || '', this.chart);
              },
              crossAlign: 'near',
            },
          }),
        },
        interaction: { mode: 'nearest', intersect: false, axis: 'xy' },
        plugins: {
          rulers: {
            lines: AB.isNumber(options.ref) ? [{ x: options.ref, colour: AB.css('--faint') }] : [],
          },
          tooltip: {
            callbacks: {
              title: (items) => (items[0] ? labels[items[0].raw.label] : ''),
              label: (item) => [item.dataset.label, ...(item.raw.tip || [])],
            },
          },
        },
      },
      plugins: [whiskers, rulers],
    };
  };
  return AB.charts.place(labels.length * pitch + 56, options.label || options.title, config);
};
AB.charts.rulers = rulers;
AB.charts.whiskers = whiskers;
