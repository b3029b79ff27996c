// The start panel: name, play or watch, duels and private arenas, the best scores of the server, and the open arenas.

import { isCode, linkTo, listed, refusalText, searchText, typed } from '/arenas.js';

const REFRESH_MS = 4000;
const SECOND_MS = 1000;

const $ = (selector) => document.querySelector(selector);

export class Start {
  #name = $('#name');
  #tagline = $('.tagline');
  #welcome = this.#tagline.textContent;
  #best = $('#leaderboard');
  #rooms = $('#rooms');
  #code = $('#code');
  #net;
  #timer = 0;
  #searchTimer = 0;
  // The open arenas, which the client keeps up to date.
  #arenas = [];

  // Callbacks in `on`: play(name), watch(), anew(), duel(name), failed(error), toggled(open).
  constructor(net, on) {
    this.#net = net;
    this.on = on;
    this.#name.value = net.pass.chosen;
    // Another tab has signed in under another name.
    window.addEventListener('storage', ({ key }) => {
      if (key === 'name') this.#name.value = net.pass.chosen;
    });
    $('#entry').addEventListener('submit', (event) => {
      event.preventDefault();
      this.close();
      on.play(this.name);
    });
    $('#watch').addEventListener('click', () => {
      this.close();
      on.watch();
    });
    $('#duel').addEventListener('click', () => {
      this.close();
      on.duel(this.name);
    });
    $('#private').addEventListener('click', () => net.openPrivate().catch((error) => on.failed(error)));
    $('#cancel').addEventListener('click', () => net.cancelDuel());
    $('#visit').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#visit(typed(this.#code.value));
    });
    this.#code.addEventListener('input', () => this.#refuse(null));
    $('#copy').addEventListener('click', () => this.#copy());
    net.followArenas((arenas) => {
      this.#arenas = arenas;
      this.#showRooms();
    });
  }

  async #visit(id) {
    if (id === null) return this.#refuse('A code has six letters, such as KWXFRT.');
    try {
      await this.#net.visit(id);
      this.#code.value = '';
    } catch (error) {
      this.#refuse(refusalText(id, error));
    }
  }

  #refuse(text) {
    const refused = $('#code-refused');
    refused.textContent = text ?? '';
    refused.hidden = text === null;
    this.#code.setAttribute('aria-invalid', String(text !== null));
  }

  // Without HTTPS, only the server's own machine has a clipboard: then the player copies the address.
  async #copy() {
    const button = $('#copy');
    try {
      await navigator.clipboard.writeText(linkTo(location.origin, this.#net.room.id));
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Copy the address above';
    }
  }

  // The page has gone to another arena.
  entered({ id }) {
    this.#refuse(null);
    $('#invitation').hidden = !isCode(id);
    $('#invitation-code').textContent = id;
    $('#copy').textContent = 'Copy link';
    this.#showRooms();
  }

  // A search for a duel has begun or ended.
  searching() {
    const { searching } = this.#net;
    const show = () => {
      $('#search-text').textContent = searchText(Date.now() - searching);
    };
    clearInterval(this.#searchTimer);
    $('#search').hidden = searching === null;
    document.body.classList.toggle('searching', searching !== null);
    $('#duel').disabled = searching !== null;
    if (searching === null) return;
    show();
    this.#searchTimer = setInterval(show, SECOND_MS);
  }

  get name() {
    return this.#name.value.trim();
  }

  get isOpen() {
    return document.body.classList.contains('menu-open');
  }

  open() {
    document.body.classList.add('menu-open');
    this.on.toggled(true);
    this.refresh();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.refresh(), REFRESH_MS);
    $('#play').focus({ preventScroll: true });
  }

  close() {
    document.body.classList.remove('menu-open');
    clearInterval(this.#timer);
    document.activeElement?.blur();
    this.on.toggled(false);
  }

  // Shows the name and the seat that the server has confirmed.
  show() {
    this.#name.placeholder = this.#net.pass.name || 'Pilot';
    this.#tagline.textContent = this.#net.elsewhere ? 'You play in another tab. Play takes the ship over.' : this.#welcome;
  }

  // Requests the best scores; without a connection, the page keeps what it shows.
  async refresh() {
    if (this.#net.client.state !== 'open') return;
    const best = await this.#net.best(8).catch(() => null);
    if (best) this.#showBest(best);
  }

  #showBest(rows) {
    if (rows.length === 0) {
      const empty = document.createElement('li');
      empty.className = 'empty';
      empty.textContent = 'Nobody yet. Play a round to be the first.';
      this.#best.replaceChildren(empty);
      return;
    }
    this.#best.replaceChildren(...rows.map((row) => {
      const item = document.createElement('li');
      const name = document.createElement('span');
      const score = document.createElement('b');
      name.textContent = row.name;
      score.textContent = row.score;
      item.append(name, score);
      return item;
    }));
  }

  #showRooms() {
    const buttons = listed(this.#arenas, this.#net.room?.id).map(({ id, label, isHere, isOpen }) => {
      const button = roomButton(label, () => this.#visit(id));
      button.disabled = !isOpen;
      button.classList.toggle('here', isHere);
      return button;
    });
    buttons.push(roomButton('New arena', () => this.on.anew()));
    this.#rooms.replaceChildren(...buttons);
  }
}

function roomButton(label, onClick) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = label;
  button.addEventListener('click', onClick);
  return button;
}
