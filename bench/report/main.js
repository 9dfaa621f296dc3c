// SPDX-License-Identifier: Apache-2.0
// Puts the page together: head, sections, navigation, colour scheme.
'use strict';
(() => {
  const { data, el } = AB,
    root = document.documentElement;

  const modes = ['auto', 'light', 'dark'],
    button = document.getElementById('theme');
  let mode = 0;
  button.addEventListener('click', () => {
    mode = (mode + 1) % modes.length;
    if (mode) root.dataset.theme = modes[mode];
    else delete root.dataset.theme;
    button.textContent = 'Theme: ' + modes[mode];
    AB.charts.redraw();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', AB.charts.redraw);
  window.addEventListener('beforeprint', AB.charts.drawAll);
  AB.charts.theme();

  const machines = [...data.runs, ...data.deployments.map((d) => d.machine || {})];
  const cpus = [...new Set(machines.map((r) => r.cpu).filter(Boolean))],
    first = data.runs[0] || {},
    build = (first.context || {}).build || {};
  document
    .getElementById('meta')
    .append(
      ...[
        data.runs.length
          ? AB.count(data.rows.length, 'result') +
            (data.runs.length > 1 ? ` of ${data.runs.length} runs` : '')
          : null,
        data.deployments.length > 1 ? `${data.deployments.length} deployments` : null,
        data.deployments.length === 1
          ? `${data.deployments[0].model} with ${data.deployments[0].method}`
          : null,
        cpus.join(' and '),
        data.runs.length === 1 && first.revision ? 'revision ' + first.revision : null,
        data.runs.length === 1 && build.onednn ? 'oneDNN ' + build.onednn : null,
        AB.date(first.date),
      ]
        .filter(Boolean)
        .map((t) => el('span', null, t)),
    );

  const main = document.getElementById('main'),
    nav = document.getElementById('nav'),
    links = new Map();
  const order = [
    'summary',
    'deployment',
    'comparison',
    'history',
    'latency',
    'maps',
    'agreement',
    'together',
    'kernels',
    'roofline',
    'steps',
    'environment',
  ];
  AB.sections.sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
  for (const { id, title, build: make } of AB.sections) {
    const section = el(
      'section',
      { id, 'aria-labelledby': id + '-title' },
      el('h2', { id: id + '-title' }, title),
    );
    main.append(section);
    let there = false;
    try {
      there = make(section);
    } catch (error) {
      AB.failed(`${id}: ${error.message}`);
      section.replaceChildren(
        el('h2', { id: id + '-title' }, title),
        el('p', { class: 'notice' }, `This section could not be drawn: ${error.message}`),
      );
      there = true;
    }
    if (!there) {
      section.remove();
      continue;
    }
    const link = el('a', { href: '#' + id }, title);
    links.set(section, link);
    nav.append(link);
  }
  const watcher = new IntersectionObserver(
    (seen) => {
      for (const s of seen)
        if (s.isIntersecting) {
          links.forEach((link) => link.removeAttribute('aria-current'));
          links.get(s.target).setAttribute('aria-current', 'true');
        }
    },
    { rootMargin: '-20% 0px -70% 0px' },
  );
  links.forEach((_, section) => watcher.observe(section));

  document
    .getElementById('foot')
    .append(
      `Written ${AB.date(data.generated)} by attrbench ${data.version}. The same numbers stand in `,
      el('a', { href: 'report.csv' }, 'report.csv'),
      ' and ',
      el('a', { href: 'report.md' }, 'report.md'),
      ' beside this file.',
    );
  root.dataset.state = 'ready';
})();
