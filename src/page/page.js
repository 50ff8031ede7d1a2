'use strict';

// Columns of numbers are set flush right.
for (const table of document.querySelectorAll('table')) {
  const heads = [...table.tHead.rows[0].cells];
  const numeric = heads.map((head) => head.hasAttribute('data-number'));
  for (const row of table.tBodies[0].rows) {
    numeric.forEach((isNumber, column) => row.cells[column]?.classList.toggle('number', isNumber));
  }
}

// A click on a column's head sorts by it, another one the other way round. What is no number comes last.
function sort(table, column, isNumber) {
  const heads = [...table.tHead.rows[0].cells];
  const isUp = heads[column].getAttribute('aria-sort') !== 'ascending';
  heads.forEach((head) => head.setAttribute('aria-sort', 'none'));
  heads[column].setAttribute('aria-sort', isUp ? 'ascending' : 'descending');
  const body = table.tBodies[0];
  const keyed = [...body.rows].map((row) => {
    const text = row.cells[column].textContent;
    return { row, key: isNumber ? parseFloat(text) : text };
  });
  const direction = isUp ? 1 : -1;
  keyed.sort((a, b) => {
    if (!isNumber) return direction * a.key.localeCompare(b.key, undefined, { numeric: true });
    if (Number.isNaN(a.key) || Number.isNaN(b.key)) return Number.isNaN(a.key) - Number.isNaN(b.key);
    return direction * (a.key - b.key);
  });
  body.append(...keyed.map(({ row }) => row));
}

for (const table of document.querySelectorAll('table')) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.querySelector('button').addEventListener('click', () => sort(table, column, head.hasAttribute('data-number')));
  });
}

// One cursor for everything that shows a moment: curves, pictures, table.
function follow(timeline) {
  const rows = [...timeline.querySelectorAll('tr[data-m]')];
  if (rows.length === 0) return;
  const heads = [...rows[0].closest('table').tHead.rows[0].cells].map((head) => head.textContent);
  const places = rows.map((row) => Number(row.dataset.x));
  const numbers = rows.map((row) => Number(row.dataset.m));
  const plots = [...timeline.querySelectorAll('.panel')];
  const plot = timeline.querySelector('.plot');
  const panels = timeline.querySelector('.panels');
  const strip = timeline.querySelector('.strip');
  const figures = [...timeline.querySelectorAll('.strip figure')];
  const stage = timeline.querySelector('.stage');
  const picture = stage.querySelector('img');
  const slider = stage.querySelector('input');
  slider.max = rows.length - 1;
  let chosen = -1;

  // The last picture that is not younger than a moment.
  const figureOf = (number) => {
    let found = figures[0];
    for (const figure of figures) {
      if (Number(figure.dataset.m) > number) break;
      found = figure;
    }
    return found;
  };

  function choose(index) {
    if (index === chosen || index < 0 || index >= rows.length) return;
    rows[chosen]?.classList.remove('chosen');
    chosen = index;
    const row = rows[index];
    row.classList.add('chosen');
    timeline.style.setProperty('--at', places[index]);
    slider.value = index;
    for (const panel of plots) {
      panel.querySelector('output').textContent =
        `${row.cells[panel.dataset.column].textContent} ${panel.dataset.unit}`;
    }
    const figure = figureOf(numbers[index]);
    let of = '';
    if (figure) {
      strip.querySelector('.chosen')?.classList.remove('chosen');
      figure.classList.add('chosen');
      picture.src = figure.querySelector('img').src;
      picture.alt = figure.querySelector('img').alt;
      strip.scrollLeft = figure.offsetLeft - strip.offsetLeft - (strip.clientWidth - figure.clientWidth) / 2;
      if (figure.dataset.m !== row.dataset.m) of = `, picture of ${figure.dataset.m}`;
    }
    const what = heads[2] === 'what' && row.cells[2].textContent ? `, ${row.cells[2].textContent}` : '';
    stage.querySelector('.now').textContent =
      `${heads[0]} ${row.dataset.m}, ${row.cells[1].textContent} ${heads[1]}${what}${of}`;
  }

  // The moment that is nearest to a place of the pointer.
  function at(event) {
    const box = plot.getBoundingClientRect();
    const place = ((event.clientX - box.left) / box.width) * 1000;
    let nearest = 0;
    places.forEach((other, index) => {
      if (Math.abs(other - place) < Math.abs(places[nearest] - place)) nearest = index;
    });
    choose(nearest);
  }

  const byNumber = (number) => numbers.indexOf(Number(number));
  const byHash = () => {
    const match = /^#[mf](\d+)$/.exec(location.hash);
    if (match) choose(byNumber(match[1]));
  };
  if (plot) {
    panels.addEventListener('pointermove', at);
    panels.addEventListener('pointerdown', at);
  }
  slider.addEventListener('input', () => choose(Number(slider.value)));
  rows.forEach((row, index) => row.addEventListener('click', () => choose(index)));
  window.addEventListener('hashchange', byHash);
  stage.hidden = false;
  timeline.classList.add('live');
  choose(0);
  byHash();
}

document.querySelectorAll('.timeline').forEach(follow);
