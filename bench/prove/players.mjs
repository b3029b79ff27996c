// The clients of one run, of the TypeScript library under Node: each counts everything, in both directions.
// Prints `ready` when all are where they want to be, plays on until a line comes, and prints a summary. As players.rs.

import { createRequire } from 'node:module';
import { once } from 'node:events';
import { parseArgs } from 'node:util';

import { connect } from '../../framework/assets/courtside.js';

// Node before version 22 has no WebSocket; this one is installed for the benchmarks: npm --prefix bench/peers ci
const WebSocket = globalThis.WebSocket ?? createRequire(new URL('../peers/package.json', import.meta.url))('ws');

const SAYS_MS = 400;
const PATIENCE_MS = 90_000;
const HISTORY = 100;

const { values } = parseArgs({ options: { url: { type: 'string' }, clients: { type: 'string' }, channels: { type: 'string' } } });
const clients = Number(values.clients);
const channels = Number(values.channels ?? 0);

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const within = (promise, ms) => Promise.race([promise, sleep(ms).then(() => { throw new Error('it takes too long'); })]);

class Player {
  resumes = 0;
  losses = 0;
  closed = false;
  missing = 0;
  reasons = [];
  beat = undefined;
  said = 0;
  room = undefined;
  seen = new Array(channels).fill(0);

  constructor(n) {
    this.client = connect(values.url, { WebSocket, format: n % 2 ? 'msgpack' : 'json' });
    this.client.on('open', ({ resumed }) => { this.resumes += Number(resumed); });
    this.client.on('lost', ({ reason }) => {
      this.losses += 1;
      this.reasons.push(`a new session: ${reason}`);
      this.seen.fill(0);
    });
    this.client.on('closed', (error) => {
      if (!error) return;
      this.closed = true;
      this.reasons.push(`closed: ${error.code} ${error.message}`);
    });
    this.client.on('error', (error) => this.reasons.push(`${error.code} ${error.message}`));
  }

  async start() {
    if (channels > 0) {
      for (let n = 0; n < channels; n += 1) {
        this.client.subscribe(`history/${n}`, (_, { offset }) => {
          if (offset === this.seen[n] + 1) this.seen[n] += 1;
        });
      }
      await this.until(() => this.hasAllPublications(), PATIENCE_MS);
      return;
    }
    this.room = await this.client.join('counting', null);
    this.room.on('beat', ({ n }) => {
      this.missing += Math.abs(n - (this.beat === undefined ? n : this.beat + 1));
      this.beat = n;
    });
    this.timer = setInterval(() => {
      try {
        this.room.send('count', { n: this.said });
        this.said += 1;
      } catch {
        // Not sent, not counted: the session is lost, and says so.
      }
    }, SAYS_MS);
  }

  hasAllPublications() {
    return this.seen.every((seen) => seen >= HISTORY);
  }

  async until(isSo, ms) {
    const end = Date.now() + ms;
    while (!isSo() && Date.now() < end) await sleep(SAYS_MS);
  }

  /** Waits for what has not come; true if the player gave up. */
  async settle() {
    clearInterval(this.timer);
    if (channels > 0) {
      await this.until(() => this.hasAllPublications(), PATIENCE_MS);
      this.missing += this.seen.reduce((sum, seen) => sum + HISTORY - Math.min(seen, HISTORY), 0);
      return !this.hasAllPublications();
    }
    try {
      const tallied = await within(this.room.call('tally', null), PATIENCE_MS);
      this.missing += tallied.faults + Math.abs(this.said - tallied.counted);
      await this.until(() => this.beat >= tallied.beat, PATIENCE_MS);
      return !(this.beat >= tallied.beat);
    } catch (error) {
      this.missing += 1;
      return error.message === 'it takes too long';
    }
  }
}

const players = [];
for (let n = 0; n < clients; n += 50) {
  const batch = Array.from({ length: Math.min(50, clients - n) }, (_, i) => new Player(n + i));
  await Promise.all(batch.map((player) => player.start()));
  players.push(...batch);
}
console.log('ready');
await once(process.stdin, 'data');
const stuck = await Promise.all(players.map((player) => player.settle()));
const count = (is) => players.filter(is).length;
console.log(JSON.stringify({
  clients,
  resumed: count((p) => p.resumes > 0),
  lost: count((p) => p.losses > 0),
  closed: count((p) => p.closed),
  missing: players.reduce((sum, p) => sum + p.missing, 0),
  stuck: stuck.filter(Boolean).length,
  reasons: [...new Set(players.flatMap((p) => p.reasons))].slice(0, 5),
}));
process.exit(0);
