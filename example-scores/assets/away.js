// "While you were away": what has happened between leaving the page, or losing the connection, and coming back.
//
// Nothing is asked of the server for it: recovery brings every update that was missed, and each has its offset and its time.

import { el, setText } from './elements.js';

/** A shorter absence is not worth telling of, in milliseconds. */
const SHORTEST = 3000;
/** How many lines the panel has; the ticker has them all. */
const LINES = 6;
/** How many updates are remembered; the server's history is not longer. */
const REMEMBERED = 250;
/** Where a page that is left stores what its visitor has seen, for the next one. */
const KEY = 'scores.left';

const WORTH_TELLING = new Set(['goal', 'full_time', 'run_finished']);

export class Away {
  #panel;
  #open;
  #announce;
  #list = el('ol');
  #text = el('p');
  /** The newest updates of this epoch that are worth telling, the oldest first. */
  #updates = [];
  /** The first and the last position of this epoch that the page has received. */
  #first = null;
  #last = null;
  /** What the visitor had seen, and when: `{ epoch, offset, time }`. Null while the visitor is here. */
  #left = read();
  /** The last absence: from what was seen to the time of the return. */
  #absence = null;
  #drawing = null;

  /** `open` is called with the id of a match, `announce` with a sentence for screen readers. */
  constructor(panel, open, announce) {
    this.#panel = panel;
    this.#open = open;
    this.#announce = announce;
    const close = el('button.close', '×');
    close.type = 'button';
    close.setAttribute('aria-label', 'Close');
    close.addEventListener('click', () => (panel.hidden = true));
    const title = el('h2', 'While you were away');
    title.id = 'away-title';
    panel.append(close, title, this.#text, this.#list);
  }

  /** An update of the channel, with its position. */
  add(update, { epoch, offset }) {
    if (this.#last?.epoch !== epoch) {
      this.#updates = [];
      this.#first = { epoch, offset };
    }
    this.#last = { epoch, offset };
    if (!WORTH_TELLING.has(update.type)) return;
    this.#updates.push({ ...update, offset });
    if (this.#updates.length > REMEMBERED) this.#updates.shift();
    // Recovered updates arrive after the return.
    if (this.#absence && update.time <= this.#absence.until) this.#schedule();
  }

  /** From `now` on the visitor cannot see what happens. */
  leave(now) {
    if (this.#left || !this.#last) return;
    this.#left = { ...this.#last, time: now };
    write(this.#left);
  }

  /** The visitor sees the page again. */
  comeBack(now) {
    if (!this.#left) return;
    const isLong = now - this.#left.time >= SHORTEST;
    this.#absence = isLong ? { ...this.#left, until: now } : null;
    this.#left = null;
    write(null);
    if (isLong) this.#schedule();
  }

  /** Draws once, however many updates arrive together. */
  #schedule() {
    this.#drawing ??= setTimeout(() => {
      this.#drawing = null;
      this.#draw();
    }, 100);
  }

  #draw() {
    const { epoch, offset, time, until } = this.#absence ?? {};
    // After a restart of the server offsets begin anew, and only the time tells what is new.
    const isSame = this.#last?.epoch === epoch;
    const missed = this.#updates.filter((update) => update.time <= until && (isSame ? update.offset > offset : update.time > time));
    if (missed.length === 0) return;
    const goals = missed.filter(({ type }) => type === 'goal').length;
    const isPart = isSame && this.#first.offset > offset + 1;
    const text = `${span(until - time)}: ${isPart ? 'at least ' : ''}${goals === 1 ? 'one goal' : `${goals || 'no'} goals`}`;
    setText(this.#text, text);
    const lines = missed.slice(-LINES).reverse().map((update) => this.#line(update));
    if (missed.length > LINES) lines.push(el('li.more', `and ${missed.length - LINES} more in the ticker`));
    this.#list.replaceChildren(...lines);
    this.#panel.hidden = false;
    this.#announce(`While you were away, ${text}.`);
  }

  #line({ type, text, data }) {
    if (!data.match) return el('li', text);
    const button = el('button', text.replace(/^(Goal! |Full time: )/, ''));
    button.type = 'button';
    button.addEventListener('click', () => this.#open(data.match));
    const line = el('li', el('span.tag', type === 'goal' ? 'Goal' : 'FT'), button);
    line.dataset.type = type;
    return line;
  }
}

function span(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 120) return `${seconds} seconds`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} minutes` : `${Math.round(minutes / 60)} hours`;
}

// A browser may refuse to store anything; then an absence ends with its page.

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    return null;
  }
}

function write(left) {
  try {
    if (left) localStorage.setItem(KEY, JSON.stringify(left));
    else localStorage.removeItem(KEY);
  } catch {
    // As above.
  }
}
