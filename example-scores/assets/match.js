// One match, opened from anywhere on the page: subscribes only to the channel of that match.

import { isLive } from './board.js';
import { el, setText } from './elements.js';
import { clockOf, goalMinute } from './minutes.js';
import { scoreText, teamElement } from './team.js';

export class MatchDialog {
  #dialog;
  #client;
  #subscription = null;
  #id = null;
  #score = el('span.score');
  #clock = el('span.clock');
  #lines = el('ol.timeline');

  constructor(dialog, client) {
    this.#dialog = dialog;
    this.#client = client;
    dialog.addEventListener('close', () => this.#leave());
    // A click on the backdrop is a click on the dialog itself.
    dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  }

  get id() {
    return this.#id;
  }

  open(card, run, speed, now) {
    this.#leave();
    this.#id = card.match;
    const close = el('button.close', '×');
    close.type = 'button';
    close.setAttribute('aria-label', 'Close');
    close.addEventListener('click', () => this.#dialog.close());
    const title = el('h2.versus', teamElement(card.teams[0]), this.#score, teamElement(card.teams[1]));
    title.id = 'match-title';
    const where = [card.group ?? card.round, card.ground, [card.date, card.time].filter(Boolean).join(', ')];
    this.#lines.replaceChildren();
    this.#dialog.replaceChildren(
      el('div.sheet', close, el('p.meta', where.filter(Boolean).join(' · ')), title, this.#clock, this.#lines,
        el('p.hint', 'From channel ', el('code', `match/${card.match}`))),
    );
    this.update(card, speed, now);
    this.#dialog.showModal();
    this.#subscription = this.#client.subscribe(`match/${card.match}`, (update) => {
      // The channel's history has earlier runs of the same match.
      if (update.run === run) this.#lines.prepend(line(update));
    });
  }

  update(card, speed, now) {
    setText(this.#score, scoreText(card));
    setText(this.#clock, clockOf(card, speed, now)[isLive(card) ? 0 : 1]);
  }

  #leave() {
    this.#subscription?.unsubscribe();
    this.#subscription = null;
    this.#id = null;
  }
}

function line({ type, data, text }) {
  const minute = type === 'goal' ? goalMinute(data) : '';
  const item = el('li', el('span.minute', minute), el('span', text.replace(/^Goal! [^ ]+ /, '')));
  item.dataset.type = type;
  if (type === 'goal') item.dataset.side = data.side;
  return item;
}
