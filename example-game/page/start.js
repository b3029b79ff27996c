// The start panel: name, play or watch, the best scores of the server, and the open arenas.

const REFRESH_MS = 4000;

export class Start {
  #name = document.querySelector('#name');
  #tagline = document.querySelector('.tagline');
  #welcome = this.#tagline.textContent;
  #best = document.querySelector('#leaderboard');
  #rooms = document.querySelector('#rooms');
  #net;
  #timer = 0;

  // Callbacks in `on`: play(name), watch(), move(id or null for a new arena), toggled(open).
  constructor(net, on) {
    this.#net = net;
    this.on = on;
    this.#name.value = net.pass.chosen;
    // Another tab has signed in under another name.
    window.addEventListener('storage', ({ key }) => {
      if (key === 'name') this.#name.value = net.pass.chosen;
    });
    document.querySelector('#entry').addEventListener('submit', (event) => {
      event.preventDefault();
      this.close();
      on.play(this.name);
    });
    document.querySelector('#watch').addEventListener('click', () => {
      this.close();
      on.watch();
    });
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
    document.querySelector('#play').focus({ preventScroll: true });
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

  // Requests both lists; without a connection, the page keeps what it shows.
  async refresh() {
    if (this.#net.client.state !== 'open') return;
    const [best, rooms] = await Promise.allSettled([this.#net.best(8), this.#net.rooms()]);
    if (best.status === 'fulfilled') this.#showBest(best.value);
    if (rooms.status === 'fulfilled') this.#showRooms(rooms.value);
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

  #showRooms(rooms) {
    const here = this.#net.room?.id;
    const buttons = rooms.map(({ room, members, capacity }) => {
      const current = room === here;
      const button = roomButton(`${current ? 'Here' : `Arena ${room.slice(0, 4)}`} · ${members}/${capacity}`, () => this.on.move(room));
      button.disabled = current || members >= capacity;
      button.classList.toggle('here', current);
      return button;
    });
    buttons.push(roomButton('New arena', () => this.on.move(null)));
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
