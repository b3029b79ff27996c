// The live matches, large. From the start there are as many places as the run ever needs, and the server
// assigns matches to them, so nothing on the page jumps when a match begins or ends.

import { isLive, onPitch } from './board.js';
import { animate, el, setChildren, setData, setText } from './elements.js';
import { clockOf, progressOf, scorersOf } from './minutes.js';
import { teamElement } from './team.js';

export class Stage {
  #root;
  #open;
  #places = [];

  /** `open` is called with the id of a match that the visitor wants to see. */
  constructor(root, open) {
    this.#root = root;
    this.#open = open;
  }

  /** Updates the places from the board. */
  update(board, clock) {
    const count = Math.max(2, board.pitches);
    while (this.#places.length < count) this.#places.push(new Place(this.#open));
    this.#places.length = count;
    this.#root.style.setProperty('--places', Math.min(4, count));
    setChildren(this.#root, this.#places.map((place) => place.element));
    this.#places.forEach((place, pitch) => place.update(onPitch(board, pitch), clock));
  }

  /** Updates the clocks; called often, and cheap. */
  tick(clock) {
    for (const place of this.#places) place.tick(clock);
  }

  /** Shows that a goal has just been scored. */
  celebrate(goal) {
    this.#places.find((place) => place.card?.match === goal.match)?.celebrate(goal);
  }
}

class Place {
  card = null;
  #shown = null;
  #meta = el('p.meta');
  #clock = el('span.clock');
  #clockText = el('span');
  #rows = [0, 1].map(() => ({ row: el('p.row'), score: el('span.score'), shots: el('small.shots') }));
  #scorers = [el('ul.scorers'), el('ul.scorers')];
  #bar = el('i.bar');
  #shout = el('strong.shout', 'Goal!');
  #joy = [];
  /** Makes the whole card one button, without its lists. */
  #cover = el('button.cover');

  constructor(open) {
    this.#cover.type = 'button';
    this.#cover.addEventListener('click', () => this.card && open(this.card.match));
    this.#clock.append(el('i.dot'), this.#clockText);
    this.#shout.setAttribute('aria-hidden', 'true');
    this.element = el(
      'article.place.card',
      el('div.head', this.#meta, this.#clock),
      ...this.#rows.map((it) => it.row),
      el('div.goals', ...this.#scorers),
      el('div.track', this.#bar),
      this.#shout,
      this.#cover,
    );
    this.#empty();
  }

  update(card, clock) {
    this.card = card ?? null;
    if (!card) return this.#empty();
    if (this.#shown !== card.match) {
      this.#shown = card.match;
      // The celebration belongs to the previous match.
      this.#calm();
      this.#cover.disabled = false;
      this.#cover.setAttribute('aria-label', `${card.teams.join(' – ')}: all that happened`);
      setText(this.#meta, [card.group ?? card.round, card.ground].filter(Boolean).join(' · '));
      this.#rows.forEach((it, index) => {
        it.row.replaceChildren(teamElement(card.teams[index]), it.shots, it.score);
      });
    }
    setData(this.element, 'live', isLive(card) ? '' : null);
    this.#rows.forEach((it, index) => {
      setText(it.score, String(card.score[index]));
      setText(it.shots, card.penalties ? `(${card.penalties[index]})` : '');
      setData(it.row, 'won', card.winner === card.teams[index] ? '' : null);
    });
    this.#scorers.forEach((list, index) => {
      const lines = scorersOf(card, index + 1);
      setChildren(list, lines.map(([name, minutes], line) => {
        const item = list.children[line] ?? el('li', el('b'), ' ', el('span'));
        setText(item.firstElementChild, name);
        setText(item.lastElementChild, minutes);
        return item;
      }));
    });
    this.tick(clock);
  }

  tick(clock) {
    if (!this.card) return;
    const [short, long] = clockOf(this.card, clock);
    setText(this.#clockText, short);
    if (this.#clock.title !== long) this.#clock.title = long;
    this.#bar.style.scale = `${progressOf(this.card, clock).toFixed(3)} 1`;
  }

  celebrate(goal) {
    // Two goals in quick succession are one celebration; otherwise the first could not be ended any more.
    this.#calm();
    const { score, row } = this.#rows[goal.side - 1];
    // No last frame: the colours end where they came from, in either scheme.
    const fading = (property, value) => [{ [property]: value, offset: 0 }, { [property]: value, offset: 0.3 }];
    this.#joy = [
      animate(this.element, fading('backgroundColor', 'var(--flash)'), { duration: 1800 }),
      animate(row, fading('color', 'var(--goal)'), { duration: 2200 }),
      animate(score, { scale: [1, 1.7, 0.95, 1], offset: [0, 0.35, 0.7, 1] }, { duration: 700, easing: 'ease-out' }),
      animate(this.#shout, {
        opacity: [0, 1, 1, 0], translate: ['0 40%', '0 0', '0 0', '0 -20%'], offset: [0, 0.15, 0.8, 1],
      }, { duration: 1600 }),
    ];
  }

  #calm() {
    for (const animation of this.#joy.splice(0)) animation?.cancel();
  }

  #empty() {
    this.#shown = null;
    this.#cover.disabled = true;
    this.#cover.setAttribute('aria-label', 'No match yet');
    setData(this.element, 'live', null);
    setText(this.#meta, 'Waiting for kick-off');
    setText(this.#clockText, '–');
    this.#bar.style.scale = '0 1';
    for (const it of this.#rows) {
      it.row.replaceChildren(el('span.team', el('i.flag'), el('span.team-name', ' ')), it.score);
      setText(it.score, '');
      setData(it.row, 'won', null);
    }
    for (const list of this.#scorers) list.replaceChildren();
  }
}
