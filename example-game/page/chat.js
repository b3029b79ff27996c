// The chat: lines by their number, each once and in order, and the input field.

import { HUES } from '/palette.js';

const SHOWN = 120;

export class Chat {
  #lines = new Map();
  #log = document.querySelector('#chat-log');
  #field = document.querySelector('#chat-input');
  #box = document.querySelector('#chat');

  // `say` sends a line and rejects with the server's refusal; `onFocus` receives whether the chat has the keyboard.
  constructor({ say, onFocus, onRefused }) {
    document.querySelector('#chat-form').addEventListener('submit', async (event) => {
      event.preventDefault();
      const text = this.#field.value;
      // Enter on an empty line leaves the chat.
      if (text.trim() === '') return this.#field.blur();
      this.#field.value = '';
      try {
        await say(text);
      } catch (error) {
        if (this.#field.value === '') this.#field.value = text;
        onRefused(error);
      }
    });
    this.#field.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') {
        event.stopPropagation();
        this.#field.blur();
      }
    });
    this.#field.addEventListener('focus', () => {
      this.#box.classList.add('chatting');
      onFocus(true);
    });
    this.#field.addEventListener('blur', () => {
      this.#box.classList.remove('chatting');
      onFocus(false);
    });
  }

  open() {
    // Show the field first, because a hidden field cannot be focused.
    this.#box.classList.add('chatting');
    this.#field.focus();
  }

  clear() {
    this.#lines.clear();
    this.#log.replaceChildren();
  }

  // Returns false for a line that is already shown.
  add(line) {
    if (this.#lines.has(line.number)) return false;
    this.#lines.set(line.number, line);
    const atEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 40;
    // Sort by number: after a reload, newer lines arrive before older ones.
    let after = this.#log.lastElementChild;
    while (after && Number(after.dataset.number) > line.number) after = after.previousElementSibling;
    if (after) after.after(row(line));
    else this.#log.prepend(row(line));
    while (this.#log.childElementCount > SHOWN) this.#log.firstElementChild.remove();
    if (atEnd) this.toEnd();
    return true;
  }

  // A hidden log cannot be scrolled.
  toEnd() {
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  // The number of lines of other members, without this member's own and the arena's.
  saidByOthers(member) {
    return this.lines.filter((line) => line.from !== undefined && line.from !== member).length;
  }

  get lines() {
    return [...this.#lines.values()].sort((one, other) => one.number - other.number);
  }
}

function row(line) {
  const row = document.createElement('p');
  row.dataset.number = line.number;
  if (line.from === undefined) {
    row.className = 'system';
    row.textContent = line.text;
    return row;
  }
  const name = document.createElement('b');
  name.textContent = line.name;
  if (line.hue !== undefined) name.style.color = HUES[line.hue % HUES.length];
  row.append(name, ' ', line.text);
  return row;
}
