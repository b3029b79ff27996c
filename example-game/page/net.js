// The page's line to the server: one client, one room at a time, and the way back after a session was lost.

import { connect } from '/courtside.js';

export class Net {
  // A page that is reloaded keeps its session, and with it its ship.
  client = connect('/ws', { storage: sessionStorage });
  room = null;
  // The own ship, or null while only watching.
  ship = null;
  name = '';
  playing = false;
  #on;
  #joins = 0;
  // The rooms of the page before this one.
  #before = [];

  // `on` is told: seat, line, backlog, roundOver, roundBegun, hit, destroyed, picked, entered, restored, failed.
  constructor(on) {
    this.#on = on;
    this.client.on('restored', ({ rooms }) => {
      this.#before = rooms;
    });
    // The server was started anew, or the window was missed: what was joined, or about to be, is joined again.
    this.client.on('lost', () => {
      if (this.#joins > 0) this.enter(this.room?.id);
    });
  }

  // Joins an arena: the one with this id, a new one, or any that has a seat.
  async enter(id = null, { fresh = false } = {}) {
    this.#joins += 1;
    const join = this.#joins;
    const { client } = this;
    const options = { name: this.name, spectate: !this.playing };
    const any = () => client.join('arena', options, { mode: fresh ? 'create' : 'any' });
    let room;
    try {
      // An arena that is full or over is no reason to stand outside.
      room = await (id ? client.joinRoom(id, options).catch((error) => (error.sent === undefined ? any() : Promise.reject(error))) : any());
    } catch (error) {
      if (join === this.#joins) this.#on.failed(error);
      return;
    }
    if (join !== this.#joins) {
      room.leave().catch(() => {});
      return;
    }
    this.#attach(room);
    if (this.#before.includes(room)) return this.#resume(room);
    // What was wished for while the join was under way could not be told yet.
    if (this.playing && options.spectate) this.play(this.name);
    else if (!this.playing && !options.spectate) this.watch();
  }

  // The page was reloaded, and is a member still: it is in no other arena, and asks for what its members are told.
  #resume(room) {
    for (const other of this.#before) if (other !== room) other.leave().catch(() => {});
    this.#before = [];
    this.#on.restored();
    room.send('recall');
  }

  // Goes to another arena.
  async move(id, options) {
    const { room } = this;
    // A join that is still under way is overtaken too.
    this.#joins += 1;
    this.room = null;
    await room?.leave().catch(() => {});
    await this.enter(id, options);
  }

  #attach(room) {
    const on = this.#on;
    this.room = room;
    this.ship = null;
    on.entered(room);
    const current = (listener) => (data) => {
      if (this.room === room) listener(data);
    };
    room.on('seat', current((seat) => {
      this.ship = seat.ship ?? null;
      this.playing = this.ship !== null;
      on.seat(seat);
    }));
    room.on('chat_backlog', current(({ lines }) => on.backlog(lines)));
    room.on('chat_line', current((line) => on.line(line)));
    room.on('round_over', current(on.roundOver));
    room.on('round_begun', current(on.roundBegun));
    room.on('hit', current(on.hit));
    room.on('destroyed', current(on.destroyed));
    room.on('picked', current(on.picked));
    room.onLeft((reason) => {
      // What was left by own wish, or was lost with its session, is dealt with where that happened.
      if (this.room === room && ['kicked', 'disposed', 'crashed'].includes(reason)) this.enter();
    });
    room.onError((error) => {
      if (this.room === room) on.failed(error);
    });
  }

  get isOpen() {
    return this.client.state === 'open' && this.room !== null && this.room.isJoined;
  }

  // Whether steering can be said now. Every action waits until the server has it: what was said into a dead line would be
  // replayed afterwards, so nothing is. Nor is anything said to a ship that is about to be given up.
  get canSteer() {
    return this.isOpen && this.playing && this.ship !== null;
  }

  // Tells the server what the hands want for one step.
  steer({ x, y, aim, fire, dash, number }) {
    this.room.send('steer', { x, y, aim, fire, dash, number });
  }

  #tell(type, data) {
    if (this.room?.isJoined) this.room.send(type, data);
  }

  play(name) {
    this.name = name;
    this.playing = true;
    this.#tell('play', { name });
  }

  watch() {
    this.playing = false;
    this.#tell('spectate');
  }

  rename(name) {
    this.name = name;
    this.#tell('rename', { name });
  }

  respawn() {
    if (this.isOpen) this.#tell('respawn');
  }

  // Resolves when the line was taken and rejects with the server's refusal.
  async chat(text) {
    if (this.room) await this.room.call('chat', { text });
  }

  best(limit) {
    return this.client.call('leaderboard.top', { limit });
  }

  // As many as the panel has place for.
  async rooms() {
    const { rooms } = await this.client.call('rooms.list', { kind: 'arena', limit: 24 });
    return rooms;
  }
}
