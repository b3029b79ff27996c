// The premium ticker: a connection of its own, whose credential is a pass that expires. The client asks for the next pass by
// itself, so the session goes on.

import { el, setChildren, setText } from './elements.js';

export class Premium {
  #connect;
  #client = null;
  #pass = null;
  #renewals = 0;
  #renews = true;
  #rows = [];
  #state = el('p.state', 'Chances to win, live, for holders of a pass.');
  #button = el('button.action', 'Get a pass');
  #list = el('ul.chances');

  constructor(root, connect) {
    this.#connect = connect;
    this.#button.type = 'button';
    this.#button.addEventListener('click', () => this.#press());
    const title = el('h2', 'Premium: who will win?');
    title.id = 'premium-title';
    root.append(el('div.premium-head', el('div', title, this.#state), this.#button), this.#list);
    this.#list.hidden = true;
    setInterval(() => this.#showPass(), 1000);
  }

  #press() {
    if (this.#client) {
      this.#renews = !this.#renews;
      this.#showPass();
      return;
    }
    this.#renews = true;
    this.#renewals = -1;
    const client = (this.#client = this.#connect('/ws', { accessToken: () => this.#nextPass() }));
    // The last pass has expired, and the client came back without one: the channel refuses a guest.
    const end = (text) => {
      if (this.#client !== client) return;
      this.#client = null;
      this.#pass = null;
      client.close();
      this.#list.hidden = true;
      setText(this.#state, text);
      setText(this.#button, 'Get a pass');
    };
    client.on('closed', (error) => end(error ? error.message : 'No pass.'));
    const subscription = client.subscribe('premium/chances', (chances) => this.#show(chances), { last: 1, delta: true });
    subscription.onEnded((error) => end(error.code === 'no_pass' ? 'Your pass has expired.' : error.message));
    this.#list.hidden = false;
    this.#showPass();
  }

  /** The client calls this before it connects, and again in time before the pass expires. */
  async #nextPass() {
    if (!this.#renews) return undefined;
    const headers = this.#pass ? { authorization: `Bearer ${this.#pass.token}` } : {};
    const answer = await fetch('/pass', { method: 'POST', headers });
    if (!answer.ok) throw new Error(await answer.text());
    const { token, seconds } = await answer.json();
    this.#pass = { token, until: performance.now() + seconds * 1000 };
    this.#renewals += 1;
    this.#showPass();
    return token;
  }

  #showPass() {
    if (!this.#client) return;
    setText(this.#button, this.#renews ? 'Let it expire' : 'Renew it');
    if (!this.#pass) return setText(this.#state, 'Getting a pass…');
    const left = Math.max(0, Math.ceil((this.#pass.until - performance.now()) / 1000));
    const renewed = this.#renewals > 0 ? `, renewed ${this.#renewals === 1 ? 'once' : `${this.#renewals} times`}` : '';
    setText(this.#state, `Your pass is good for ${left} s${renewed}.`);
  }

  #show({ matches }) {
    const live = Object.values(matches).sort((one, other) => one.pitch - other.pitch);
    while (this.#rows.length < live.length) this.#rows.push(new Row());
    live.forEach((chance, index) => this.#rows[index].update(chance));
    setChildren(this.#list, live.length ? this.#rows.slice(0, live.length).map((row) => row.element) : [this.#waiting]);
  }

  #waiting = el('li.waiting', 'No match is live.');
}

class Row {
  #parts = [0, 1, 2].map(() => el('i'));
  #names = [el('span'), el('span')];
  #numbers = [el('b'), el('b')];
  #draw = el('span.unseen');
  element = el('li', el('span.team-chance', this.#names[0], this.#numbers[0]), el('span.chance-bar', ...this.#parts),
    el('span.team-chance', this.#numbers[1], this.#names[1]), this.#draw);

  update({ teams, percent }) {
    teams.forEach((team, index) => setText(this.#names[index], team));
    setText(this.#numbers[0], ` ${percent[0]} % `);
    setText(this.#numbers[1], ` ${percent[2]} % `);
    setText(this.#draw, `, draw ${percent[1]} %`);
    this.#parts.forEach((part, index) => (part.style.flexGrow = percent[index]));
  }
}
