// The page's connection to the server: one client, one room at a time, and rejoining after a lost session.

import { connect } from '/courtside.js';
import { Pass } from '/pass.js';

export class Net {
  pass = new Pass();
  // A reloaded page keeps its session and its ship. The client asks for the pass before each attempt to connect, and when the pass
  // expires soon.
  client = connect('/ws', { storage: sessionStorage, accessToken: () => this.pass.token() });
  room = null;
  // The ship that this page flies, or null while watching.
  ship = null;
  // The player flies in another tab.
  elsewhere = false;
  playing = false;
  // Since when the page has been looking for a duel; null while it does not.
  searching = null;
  #on;
  #joins = 0;
  // The join in progress.
  #entering = Promise.resolve();
  // The rooms of the page before the reload.
  #before = [];

  // Callbacks in `on`: seat, line, backlog, notice, roundOver, roundBegun, hit, destroyed, picked, entered, missing, searching,
  // restored, failed.
  constructor(on) {
    this.#on = on;
    this.client.on('restored', ({ rooms, queues }) => {
      this.#before = rooms;
      if (queues.includes('duel')) this.duel();
    });
    this.client.on('unauthorized', ({ code }) => {
      // The client then asks for another pass, once.
      if (code === 'bad_credential') this.pass.refused();
    });
    // The server was restarted or the window was missed: join again what was joined or about to be joined.
    this.client.on('lost', () => {
      if (this.#joins > 0) this.enter(this.room?.id);
    });
  }

  // Joins an arena: the one with this id, a new one, or any with a free seat.
  enter(id = null, options = {}) {
    this.#entering = this.#enter(id, options);
    return this.#entering;
  }

  async #enter(id, { fresh = false, spectate = !this.playing }) {
    this.#joins += 1;
    const join = this.#joins;
    const { client } = this;
    const any = () => client.join('arena', { spectate, duel: false }, { mode: fresh ? 'create' : 'any' });
    // If the arena is full or has ended, join another one.
    const instead = (error) => {
      if (error.sent !== undefined) throw error;
      if (join === this.#joins) this.#on.missing(id, error);
      return any();
    };
    let room;
    try {
      room = await (id ? client.joinRoom(id, { spectate }).catch(instead) : any());
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
    if (this.playing && spectate) this.#tell('play');
    else if (!this.playing && !spectate) this.watch();
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

  // Joins the arena with this id and leaves the one before. Rejects, and stays there, if that is not possible.
  async visit(id) {
    if (id === this.room?.id) return;
    this.#change(await this.client.joinRoom(id, { spectate: !this.playing }));
  }

  // Opens a private arena, which friends join by its code, and goes there.
  async openPrivate() {
    await this.visit(await this.client.call('arena.open'));
  }

  // Looks for a duel, and goes there when there is one. The player can go on playing meanwhile.
  async duel() {
    if (this.searching !== null) return;
    this.searching = Date.now();
    this.#on.searching();
    try {
      const room = await this.client.match('duel');
      this.playing = true;
      this.#change(room);
    } catch (error) {
      if (error.reason !== 'cancelled') this.#on.failed(error);
    } finally {
      this.searching = null;
      this.#on.searching();
    }
  }

  cancelDuel() {
    this.client.cancelMatch('duel').catch(() => {});
  }

  #change(room) {
    const before = this.room;
    // This also replaces a join in progress.
    this.#joins += 1;
    this.#attach(room);
    if (before !== room) before?.leave().catch(() => {});
  }

  #attach(room) {
    const on = this.#on;
    this.room = room;
    this.ship = null;
    this.elsewhere = false;
    on.entered(room);
    const current = (listener) => (data) => {
      if (this.room === room) listener(data);
    };
    room.on('seat', current((seat) => {
      const before = this.ship;
      this.ship = seat.ship ?? null;
      this.elsewhere = seat.elsewhere === true;
      this.playing = this.ship !== null;
      on.seat(seat, before);
    }));
    room.on('chat_backlog', current(({ lines }) => on.backlog(lines)));
    room.on('chat_line', current((line) => on.line(line)));
    room.on('notice', current(({ text }) => on.notice(text)));
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

  // Takes a ship under this name; a blank one means the current name. Rejects if the name cannot be used.
  async play(name) {
    if (name && name !== this.pass.name) return this.#playAs(name);
    this.playing = true;
    if (this.ship === null) this.#tell('play');
  }

  // A room knows its members by the credentials with which they joined, so a new name needs a new join. That costs the ship and
  // its points, unless another tab of the player is in the arena.
  async #playAs(name) {
    const { pass, client } = this;
    await pass.rename(name);
    try {
      await client.refresh();
    } catch (error) {
      if (error.code !== 'identity') throw error;
      // The pass was gone, and signing in has made a new player, which needs a session of its own. See `lost`.
      this.playing = true;
      return client.cut(0);
    }
    // The join in progress knows which arena it is for.
    await this.#entering;
    this.playing = true;
    await this.move(this.room?.id, { spectate: true });
  }

  watch() {
    this.playing = false;
    this.#tell('spectate');
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

  // Calls the listener with the open arenas and duels, as they begin, end and change: as many as fit into the panel.
  followArenas(listener) {
    this.client.followRooms('arena', { limit: 24 }, listener);
  }
}
