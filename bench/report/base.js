// SPDX-License-Identifier: Apache-2.0
// What all parts of the page share: the data, numbers as text, elements, dialogs. Text from files
// goes into the page as text nodes only.
'use strict';
const AB = { data: JSON.parse(document.getElementById('data').textContent), errors: [] };

window.addEventListener('error', (e) => AB.failed(e.message));
window.addEventListener('unhandledrejection', (e) => AB.failed(String(e.reason)));
AB.failed = (message) => {
  AB.errors.push(message);
  document.documentElement.dataset.errors = AB.errors.length;
};

/* ---- elements ---- */

/* el('p', {class: 'lede', onclick: f}, 'text', node, ...); null children are left out. */
AB.el = (tag, attributes, ...children) => {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (key.startsWith('--')) node.style.setProperty(key, value);
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(
    ...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false),
  );
  return node;
};

/* 'a *b* c': what stands between stars is bold. For texts of this page, never of files. */
AB.rich = (text) => text.split('*').map((t, i) => (i % 2 ? AB.el('b', null, t) : t));

AB.css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/* ---- numbers ---- */

AB.isNumber = (v) => typeof v === 'number' && Number.isFinite(v);
AB.none = '\u2013';

/* Three significant digits, without exponents. */
AB.digits = (v, n = 3) => {
  if (!AB.isNumber(v)) return AB.none;
  if (v === 0) return '0';
  const places = Math.max(0, n - 1 - Math.floor(Math.log10(Math.abs(v)) + 1e-9));
  return places > 6
    ? v.toExponential(n - 1)
    : v.toLocaleString('en-US', { minimumFractionDigits: places, maximumFractionDigits: places });
};
AB.time = (ns) => {
  if (!AB.isNumber(ns)) return AB.none;
  const [unit, scale] =
    ns < 999.5
      ? ['ns', 1]
      : ns < 999500
        ? ['\u00b5s', 1e3]
        : ns < 999.5e6
          ? ['ms', 1e6]
          : ['s', 1e9];
  return AB.digits(ns / scale) + '\u00a0' + unit;
};
/* Of an axis: as short as it can be. */
AB.timeTick = (ns) => {
  const [unit, scale] =
    ns < 1e3 ? ['ns', 1] : ns < 1e6 ? ['\u00b5s', 1e3] : ns < 1e9 ? ['ms', 1e6] : ['s', 1e9];
  return Number((ns / scale).toPrecision(3)) + '\u00a0' + unit;
};
AB.bytes = (b) => {
  if (!AB.isNumber(b)) return AB.none;
  const [unit, scale] = b < 1e6 ? ['kB', 1e3] : b < 1e9 ? ['MB', 1e6] : ['GB', 1e9];
  return AB.digits(b / scale) + '\u00a0' + unit;
};
AB.percent = (v, places = 0) => (AB.isNumber(v) ? (100 * v).toFixed(places) + '\u00a0%' : AB.none);
AB.ratio = (v) => (AB.isNumber(v) ? AB.digits(v) + '\u00d7' : AB.none);
/* 4.8e-7 */
AB.small = (v) =>
  !AB.isNumber(v) ? AB.none : v === 0 ? '0' : v.toExponential(1).replace('-', '\u2212');
AB.count = (n, one, many) => `${n.toLocaleString('en-US')} ${n === 1 ? one : many || one + 's'}`;
AB.date = (text) => {
  const d = new Date(text || '');
  if (Number.isNaN(d.getTime())) return text || '';
  const month = [
    'Jan',
    'Feb',
    'Mar',
    'Apr',
    'May',
    'Jun',
    'Jul',
    'Aug',
    'Sep',
    'Oct',
    'Nov',
    'Dec',
  ][d.getUTCMonth()];
  const two = (n) => String(n).padStart(2, '0');
  return `${d.getUTCDate()} ${month} ${d.getUTCFullYear()}, ${two(d.getUTCHours())}:${two(d.getUTCMinutes())} UTC`;
};

AB.geomean = (values) => {
  const good = values.filter((v) => AB.isNumber(v) && v > 0);
  return good.length ? Math.exp(good.reduce((s, v) => s + Math.log(v), 0) / good.length) : NaN;
};
AB.least = (values) => values.reduce((a, v) => (AB.isNumber(v) && !(v >= a) ? v : a), NaN);
AB.most = (values) => values.reduce((a, v) => (AB.isNumber(v) && !(v <= a) ? v : a), NaN);

/* Map of key -> items, in the order of first appearance. */
AB.groups = (items, key) => {
  const map = new Map();
  for (const item of items) {
    const k = key(item);
    if (!map.has(k)) map.set(k, []);
    map.get(k).push(item);
  }
  return map;
};

/* ---- what rows mean ---- */

AB.run = (row) => AB.data.runs[row.run];
AB.isNative = (row) => (row.backend || '').startsWith('native');
/* A row that disagrees has no speed-up: fast and wrong is not fast. */
AB.speedup = (row) => (row.verdict === 'disagree' ? NaN : row.ratio);
AB.kind = (kind) => AB.data.rows.filter((r) => r.kind === kind);

/* Rows of a model under equal conditions: what may stand in one chart. */
AB.settingKey = (r) => [r.run, r.model, r.threads, r.batch, r.shape].join('\n');
AB.settingName = (r) =>
  [
    AB.data.runs.length > 1 ? AB.run(r).name : null,
    r.model,
    r.batch > 1 ? `batch ${r.batch}` : null,
    r.threads > 1 ? `${r.threads} threads` : null,
  ]
    .filter(Boolean)
    .join(' \u00b7 ');

const backendColours = new Map([
  ['native', '--c1'],
  ['onednn', '--c2'],
  ['reference', '--c3'],
]);
AB.backendColour = (name) => {
  if (!backendColours.has(name)) {
    const spare = ['--c4', '--c5', '--c6', '--c7'];
    backendColours.set(name, spare[(backendColours.size - 3) % spare.length]);
  }
  return backendColours.get(name);
};
AB.backendName = (name) => (name === 'onednn' ? 'oneDNN' : name || '');

AB.verdictChip = (row) => {
  const looks = {
    agree: ['good', '\u2713'],
    disagree: ['bad', '\u2717'],
    mistrusted: ['warn', '?'],
    skipped: ['', '\u2013'],
  };
  const [style, sign] = looks[row.verdict] || ['', ''];
  return row.verdict
    ? AB.el('span', { class: 'chip ' + style, title: row.verdict_reason }, `${sign} ${row.verdict}`)
    : AB.none;
};

/* ---- dialogs ---- */

AB.dialog = (title, subtitle, ...body) => {
  const close = AB.el('button', { type: 'button', class: 'quiet' }, 'Close');
  const dialog = AB.el(
    'dialog',
    { 'aria-label': title },
    AB.el(
      'div',
      { class: 'head' },
      AB.el(
        'div',
        null,
        AB.el('h3', null, title),
        subtitle ? AB.el('div', { class: 'sub' }, subtitle) : null,
      ),
      close,
    ),
    AB.el('div', { class: 'body' }, body),
  );
  close.addEventListener('click', () => dialog.close());
  dialog.addEventListener('click', (e) => {
    if (e.target === dialog) dialog.close();
  });
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
};

/* ---- sections ---- */

AB.sections = [];
/* A section of the page; `build(section)` returns false where there is nothing to show. */
AB.section = (id, title, build) => AB.sections.push({ id, title, build });
AB.lede = (text) => AB.el('p', { class: 'lede' }, AB.rich(text));
AB.how = (...paragraphs) =>
  AB.el(
    'details',
    { class: 'how' },
    AB.el('summary', null, 'How to read this'),
    paragraphs.map((p) => AB.el('p', null, AB.rich(p))),
  );
AB.legend = (items) =>
  AB.el(
    'ul',
    { class: 'legend' },
    items.map((i) =>
      AB.el('li', { '--k': `var(${i.colour})`, class: i.line ? 'line' : null }, i.name),
    ),
  );

/* One choice of several, as a labelled select; calls `pick` at once with the first. */
AB.chooser = (label, names, pick) => {
  const select = AB.el(
    'select',
    { onchange: () => pick(Number(select.value)) },
    names.map((n, i) => AB.el('option', { value: i }, n)),
  );
  pick(0);
  return AB.el('div', { class: 'tools' }, AB.el('label', { class: 'field' }, label, select));
};
/* Up to `most` panels one below another; more behind a choice. */
AB.panels = (label, names, most, make) => {
  if (names.length <= most) return names.map((_, i) => make(i));
  const place = AB.el('div');
  return [AB.chooser(label, names, (i) => place.replaceChildren(...[make(i)].flat())), place];
};
