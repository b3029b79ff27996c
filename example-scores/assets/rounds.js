// The rounds outside of the groups: a bracket if rounds get smaller, otherwise one card after the other.
// The teams are not shown before the kick-off, because a replay should not reveal how it ends.

import { isLive } from './board.js';
import { el, setData, setText } from './elements.js';
import { clockOf } from './minutes.js';
import { teamElement } from './team.js';

export class Rounds {
  #root;
  #open;
  #laid = '';
  /** For each round its places, in the order of the kick-offs. */
  #rounds = new Map();

  constructor(root, open) {
    this.#root = root;
    this.#open = open;
  }

  update(board, clock) {
    const plan = JSON.stringify([board.run, board.rounds]);
    if (plan !== this.#laid) {
      this.#laid = plan;
      this.#lay(board.rounds);
    }
    for (const [name, ties] of this.#rounds) {
      const cards = board.matches.filter((card) => card.group === null && card.round === name);
      cards.forEach((card, index) => ties[index]?.update(card, clock));
    }
  }

  tick(clock) {
    for (const ties of this.#rounds.values()) for (const tie of ties) tie.tick(clock);
  }

  #lay(rounds) {
    this.#rounds = new Map(
      rounds.map((round) => [round.name, Array.from({ length: round.matches }, () => new Tie(this.#open))]),
    );
    this.#root.hidden = rounds.length === 0;
    const isBracket = rounds.some((round) => round.matches > 1);
    this.#root.className = isBracket ? 'bracket card' : 'ties';
    if (!isBracket) {
      this.#root.replaceChildren(...rounds.map((round) => titled(round.name, this.#rounds.get(round.name))));
      return;
    }
    // The last rounds have one match each: the final and the one for the third place share a column.
    const columns = rounds.filter((round) => round.matches > 1).map((round) => [round]);
    const single = rounds.filter((round) => round.matches === 1).reverse();
    if (single.length) columns.push(single);
    this.#root.style.setProperty('--columns', columns.length);
    this.#root.replaceChildren(...columns.map((column) =>
      el('div.column', ...column.map((round) => titled(round.name, this.#rounds.get(round.name))))));
  }
}

/** `2022-12-18` as people write it. */
function day(date) {
  const options = { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' };
  return new Date(`${date}T00:00Z`).toLocaleDateString('en-GB', options);
}

function titled(name, ties) {
  return el('section.round', el('h2', name), el('div.round-ties', ...ties.map((tie) => tie.element)));
}

class Tie {
  #card = null;
  #shown = null;
  #clock = el('small.clock');
  #rows = [0, 1].map(() => ({ row: el('span.row'), score: el('span.score'), shots: el('small.shots') }));

  constructor(open) {
    this.element = el('button.tie', ...this.#rows.map((it) => it.row), this.#clock);
    this.element.type = 'button';
    this.element.disabled = true;
    this.element.addEventListener('click', () => this.#card && open(this.#card.match));
    for (const it of this.#rows) it.row.append(el('span.team', el('i.flag'), el('span.team-name', ' ')));
    setText(this.#clock, 'to come');
  }

  update(card, clock) {
    this.#card = card;
    this.element.disabled = false;
    setData(this.element, 'live', isLive(card) ? '' : null);
    this.#rows.forEach((it, index) => {
      if (this.#shown !== card.match) it.row.replaceChildren(teamElement(card.teams[index]), it.shots, it.score);
      setText(it.score, String(card.score[index]));
      setText(it.shots, card.penalties ? `(${card.penalties[index]})` : '');
      setData(it.row, 'won', card.winner === card.teams[index] ? '' : null);
    });
    this.#shown = card.match;
    this.tick(clock);
  }

  tick(clock) {
    if (!this.#card) return;
    const [short] = clockOf(this.#card, clock);
    setText(this.#clock, isLive(this.#card) ? short : `${day(this.#card.date)} · ${short}`);
  }
}
