// The page's connection to the server: one client, one room at a time, and rejoining after a lost session.

import { connect } from '/courtside.js';

export class Net {
  // A reloaded page keeps its session and its ship.
  client = connect('/ws', { storage: sessionStorage });
  room = null;
  // The player's ship, or null while watching.
  ship = null;
  name = '';
  playing = false;
  #on;
  #joins = 0;
  // The rooms of the page before the reload.
  #before = [];

  // Callbacks in `on`: seat, line, backlog, roundOver, roundBegun, hit, destroyed, picked, entered, restored, failed.
  constructor(on) {
    this.#on = on;
    this.client.on('restored', ({ rooms }) => {
      this.#before = rooms;
    });
    // The server was restarted or the window was missed: join again what was joined or about to be joined.
    this.client.on('lost', () => {
      if (this.#joins > 0) this.enter(this.room?.id);
    });
  }

  // Joins an arena: the one with this id, a new one, or any with a free seat.
  async enter(id = null, { fresh = false } = {}) {
    this.#joins += 1;
    const join = this.#joins;
    const { client } = this;
    const options = { name: this.name, spectate: !this.playing };
    const any = () => client.join('arena', options, { mode: fresh ? 'create' : 'any' });
    let room;
    try {
      // If the arena is full or has ended, join another one.
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
    // Send what the player requested while the join was in progress.
    if (this.playing && options.spectate) this.play(this.name);
    else if (!this.playing && !options.spectate) this.watch();
  }

  // The page was reloaded and is still a member: it leaves other arenas and requests what the arena sends to new members.
  #resume(room) {
    for (const other of this.#before) if (other !== room) other.leave().catch(() => {});
    this.#before = [];
    this.#on.restored();
    room.send('recall');
  }

  // Moves to another arena.
  async move(id, options) {
    const { room } = this;
    // This also replaces a join in progress.
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
      // If the page left or the session was lost, other code handles it.
      if (this.room === room && ['kicked', 'disposed', 'crashed'].includes(reason)) this.enter();
    });
    room.onError((error) => {
      if (this.room === room) on.failed(error);
    });
  }

  get isOpen() {
    return this.client.state === 'open' && this.room !== null && this.room.isJoined;
  }

  // Whether steering can be sent now. Actions are queued until the server has them, so steering that is sent while disconnected
  // would be replayed afterwards. Nor is anything sent for a ship that is about to be given up.
  get canSteer() {
    return this.isOpen && this.playing && this.ship !== null;
  }

  // Sends the input for one step.
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

  // Resolves when the server has accepted the line, and rejects with the server's refusal.
  async chat(text) {
    if (this.room) await this.room.call('chat', { text });
  }

  best(limit) {
    return this.client.call('leaderboard.top', { limit });
  }

  // As many as fit into the panel.
  async rooms() {
    const { rooms } = await this.client.call('rooms.list', { kind: 'arena', limit: 24 });
    return rooms;
  }
}
