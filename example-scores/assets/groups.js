// The groups: the current table and the results below it.

import { isLive } from './board.js';
import { animate, el, setChildren, setData, setText } from './elements.js';
import { scoreText, teamElement } from './team.js';

const COLUMNS = [
  ['played', 'P', 'Played'],
  ['won', 'W', 'Won'],
  ['drawn', 'D', 'Drawn'],
  ['lost', 'L', 'Lost'],
  ['difference', 'GD', 'Goal difference'],
  ['points', 'Pts', 'Points'],
];

export class Groups {
  #root;
  #open;
  #groups = new Map();

  constructor(root, open) {
    this.#root = root;
    this.#open = open;
  }

  update(board) {
    const names = new Set(board.groups.map((group) => group.name));
    for (const name of this.#groups.keys()) if (!names.has(name)) this.#groups.delete(name);
    this.#root.hidden = board.groups.length === 0;
    setData(this.#root, 'single', board.groups.length === 1 ? '' : null);
    setChildren(this.#root, board.groups.map((group) => {
      if (!this.#groups.has(group.name)) this.#groups.set(group.name, new Group(group.name, this.#open));
      const view = this.#groups.get(group.name);
      view.update(group, board.matches.filter((card) => card.group === group.name));
      return view.element;
    }));
  }
}

class Group {
  #open;
  #body = el('tbody');
  #rows = new Map();
  #order = '';
  #results = el('ul.results');

  constructor(name, open) {
    this.#open = open;
    const head = el('tr', heading('#', 'Place'), heading(name));
    for (const [, short, long] of COLUMNS) head.append(heading(short, long));
    this.element = el('article.group.card', el('table', el('thead', head), this.#body), this.#results);
  }

  update(group, cards) {
    const playing = new Set(cards.filter(isLive).flatMap((card) => card.teams));
    setData(this.element, 'live', playing.size ? '' : null);
    setData(this.element, 'begun', cards.length ? '' : null);
    const order = group.rows.map((row) => row.team).join();
    const moves = this.#order && this.#order !== order;
    this.#order = order;
    const before = new Map(moves ? [...this.#body.children].map((row) => [row, row.offsetTop]) : []);
    setChildren(this.#body, group.rows.map((row, place) => {
      const element = this.#rows.get(row.team) ?? this.#add(row.team);
      setText(element.cells[0], String(place + 1));
      setData(element, 'live', playing.has(row.team) ? '' : null);
      COLUMNS.forEach(([field], column) => {
        const value = row[field];
        const text = field === 'difference' && value > 0 ? `+${value}` : String(value).replace('-', '−');
        setText(element.cells[column + 2], text);
      });
      return element;
    }));
    // Rows that changed places glide to their new place.
    for (const [row, top] of before) {
      const by = top - row.offsetTop;
      if (row.isConnected && by) animate(row, { transform: [`translateY(${by}px)`, 'none'] }, { duration: 450, easing: 'ease' });
    }
    // Reserve one line for each match of the group, so that results do not push the page down.
    setChildren(this.#results, Array.from({ length: group.matches }, (_, index) => {
      const item = this.#results.children[index] ?? el('li', el('span.waiting', '–'));
      if (cards[index]) showResult(item, cards[index], this.#open);
      else if (item.dataset.match) {
        setData(item, 'match', null);
        item.replaceChildren(el('span.waiting', '–'));
      }
      return item;
    }));
  }

  #add(team) {
    const name = el('th', teamElement(team));
    name.scope = 'row';
    const row = el('tr', el('td'), name, ...COLUMNS.map(() => el('td')));
    this.#rows.set(team, row);
    return row;
  }
}

function heading(short, long) {
  const cell = el('th', short);
  cell.scope = 'col';
  if (long) {
    cell.title = long;
    cell.setAttribute('aria-label', long);
  }
  return cell;
}

function showResult(item, card, open) {
  if (item.dataset.match !== card.match) {
    item.dataset.match = card.match;
    const button = el('button', el('span', card.teams[0]), el('b'), el('span', card.teams[1]));
    button.type = 'button';
    button.addEventListener('click', () => open(card.match));
    item.replaceChildren(button);
  }
  setText(item.querySelector('b'), scoreText(card));
  setData(item, 'live', isLive(card) ? '' : null);
}
