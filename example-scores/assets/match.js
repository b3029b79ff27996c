// One match, opened from anywhere on the page: subscribes only to the channel of that match, whose publications are its state.

import { el, setText } from './elements.js';
import { clockOf, goalMinute, NO_CLOCK } from './minutes.js';
import { Picture } from './picture.js';
import { scoreText, teamElement } from './team.js';

export class MatchDialog {
  #dialog;
  #client;
  #subscription = null;
  /** The newest state; before the first, the card of the board. */
  #state = null;
  #clockNow = NO_CLOCK;
  #picture = null;
  #score = el('span.score');
  #clock = el('span.clock');
  #watching = el('span.watching');
  #lines = el('ol.timeline');

  constructor(dialog, client) {
    this.#dialog = dialog;
    this.#client = client;
    dialog.addEventListener('close', () => this.#leave());
    // A click on the backdrop is a click on the dialog itself.
    dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  }

  open(card, run, clock) {
    this.#leave();
    const close = el('button.close', '×');
    close.type = 'button';
    close.setAttribute('aria-label', 'Close');
    close.addEventListener('click', () => this.#dialog.close());
    const title = el('h2.versus', teamElement(card.teams[0]), this.#score, teamElement(card.teams[1]));
    title.id = 'match-title';
    const where = [card.group ?? card.round, card.ground, [card.date, card.time].filter(Boolean).join(', ')];
    this.#lines.replaceChildren();
    this.#lines.tabIndex = 0;
    this.#lines.setAttribute('aria-label', 'All that happened, the newest first');
    this.#picture = new Picture(card.teams);
    this.#dialog.replaceChildren(
      el('div.sheet', close, el('p.meta', where.filter(Boolean).join(' · ')), title, el('p.now', this.#clock, this.#watching), this.#picture.element, this.#lines,
        el('p.hint', 'From channel ', el('code', `match/${card.match}`))),
    );
    this.#take({ ...card, events: {} }, clock);
    this.#dialog.showModal();
    // The newest state is all that is needed; what follows arrives as patches of it.
    this.#subscription = this.#client.subscribe(`match/${card.match}`, (state) => {
      // The match was played in earlier runs as well.
      if (state.run === run) this.#take(state, this.#clockNow);
    }, { last: 1, delta: true, presence: true });
    const { presence } = this.#subscription;
    setText(this.#watching, '');
    presence.onChange(() => setText(this.#watching, `${presence.count} watching`));
  }

  /** Updates the clock; called often, and cheap. */
  tick(clock) {
    this.#clockNow = clock;
    if (!this.#state) return;
    setText(this.#clock, clockOf(this.#state, clock)[this.#state.phase === 'full_time' ? 1 : 0]);
    this.#picture.tick(this.#state, clock);
  }

  #take(state, clock) {
    this.#state = state;
    setText(this.#score, scoreText(state));
    const entries = Object.values(state.events);
    this.#picture.update(state);
    for (const entry of entries.slice(this.#lines.children.length)) {
      const line = el('li', el('span.minute', entry.type === 'goal' ? goalMinute(entry) : ''), el('span', entry.text.replace(/^Goal! [^ ]+ /, '')));
      line.dataset.type = entry.type;
      this.#lines.prepend(line);
    }
    this.tick(clock);
  }

  #leave() {
    this.#subscription?.unsubscribe();
    this.#subscription = null;
    this.#state = null;
  }
}
