// The ticker: one line for each event, the newest on top.

import { animate, el } from './elements.js';
import { goalMinute } from './minutes.js';

const LABELS = {
  run_started: 'Start', kick_off: 'Kick-off', goal: 'Goal', half_time: 'HT', second_half: '2nd half',
  end_of_normal_time: '90′', extra_time: 'Extra', extra_half_time: 'ET HT', extra_second_half: 'Extra',
  penalties: 'Pens', full_time: 'FT', run_finished: 'End',
};

/** Older lines are dropped. */
const LINES = 80;

export class Ticker {
  #list;
  #open;
  /** Recorded in the scroll event, because reading it from the list for each line would cause a layout each time. */
  #isReading = false;

  constructor(list, open) {
    this.#list = list;
    this.#open = open;
    list.addEventListener('scroll', () => (this.#isReading = list.scrollTop > 8), { passive: true });
  }

  clear() {
    this.#list.replaceChildren();
  }

  /** Adds a line; one that is `live` slides in. Tables are left to the groups. */
  add(update, live) {
    const label = LABELS[update.type];
    if (!label) return;
    const text = update.type === 'goal' ? goalLine(update.data) : [plainLine(update)];
    const line = el('li', el('span.tag', label), el('span.line', ...text));
    line.dataset.type = update.type;
    const id = update.data.match;
    if (id) {
      line.dataset.match = id;
      line.addEventListener('click', () => this.#open(id));
    }
    const height = this.#isReading ? this.#list.scrollHeight : 0;
    this.#list.prepend(line);
    while (this.#list.children.length > LINES) this.#list.lastElementChild.remove();
    // Do not scroll away from what a visitor is reading further down.
    if (this.#isReading) this.#list.scrollTop += this.#list.scrollHeight - height;
    if (live) animate(line, { opacity: [0, 1], translate: ['0 -10px', '0 0'] }, { duration: 260, easing: 'ease-out' });
  }
}

/** The server's line, without what the label in front of it already says. */
function plainLine({ text, type }) {
  return type.startsWith('run_') ? text : text.replace(/^[^:]+: /, '');
}

function goalLine(goal) {
  const how = goal.own_goal ? ' (own goal)' : goal.penalty ? ' (pen.)' : '';
  const [first, second] = goal.teams;
  return [el('b', `${first} ${goal.score.join('–')} ${second}`), ` ${goalMinute(goal)} ${goal.scorer}${how}`];
}
