import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Format } from '../src/protocol.js';
import type { FakeSocket } from './support/network.js';
import { seeded } from './support/random.js';
import { FORMATS, settle, stage, turn } from './support/stage.js';

// Random sends, calls, messages and publications over a network that is cut at random moments. Whatever happens, each
// thing must arrive once and in order, in both directions.

const SEEDS = 60;
const STEPS = 400;

async function run(seed: number, format: Format): Promise<void> {
  const random = seeded(seed);
  const upTo = (n: number): number => Math.floor(random() * n);
  const on = stage({ format, random: seeded(seed + 1) });
  const { client, server, network, clock } = on;
  const heard: number[] = [];
  const published: number[] = [];
  const offsets: number[] = [];
  const replies: number[] = [];
  const sent: number[] = [];
  let messages = 0;
  let publications = 0;
  let cuts = 0;

  client.subscribe<number>('news', (item, { offset }) => {
    published.push(item);
    offsets.push(offset);
  });
  const joining = client.join('arena', { name: 'ann' });
  await settle(on);
  const room = await joining;
  room.on('count', (count) => heard.push(count));
  await turn();

  for (let step = 0; step < STEPS; step += 1) {
    const dice = upTo(100);
    if (dice < 20) {
      room.send('steer', sent.length);
      sent.push(sent.length);
    } else if (dice < 30) {
      const n = sent.length;
      sent.push(n);
      room.call('steer', n).then((reply) => replies.push(reply.echo));
    } else if (dice < 45) server.message(room.id, 'count', messages++);
    else if (dice < 50) server.publish('news', publications++);
    else if (dice < 70) for (let n = upTo(6); n > 0; n -= 1) network.stepUp();
    else if (dice < 88) for (let n = upTo(6); n > 0; n -= 1) network.stepDown();
    else if (dice < 91) network.accept();
    else if (dice < 94) clock.advance(upTo(12_000));
    else if (dice < 95) on.wake();
    else if (dice < 96) network.arriveLate(network.sockets[upTo(network.sockets.length)] as FakeSocket);
    else {
      const { latest } = network;
      cuts += 1;
      if (dice < 97) latest.end();
      // Nobody is told: the client finds out by its pings, or the page cuts.
      else if (dice < 98) latest.vanish();
      else if (dice < 99) client.cut(upTo(3000));
      // The old socket is dropped, and what it still holds is delivered to it all the same.
      else {
        const late = [...latest.down];
        client.cut(0);
        network.accept();
        for (const data of late) latest.onmessage?.({ data });
      }
    }
    if (step % 50 === 0) await turn();
  }

  // The network heals. However the last cut happened, three quarters of a minute are enough to find out and to come back.
  for (let n = 0; n < 90; n += 1) {
    clock.advance(500);
    network.settle();
  }
  await settle(on);

  const what = `seed ${seed}, ${format}, ${cuts} cuts`;
  assert.equal(client.state, 'open', what);
  assert.equal(server.sessions.length, 1, `${what}: one session all along`);
  assert.deepEqual(server.log.filter((act) => act.type === 'steer').map((act) => act.data), sent, `${what}: actions`);
  assert.deepEqual(heard, [...Array(messages).keys()], `${what}: messages`);
  assert.deepEqual(published, [...Array(publications).keys()], `${what}: publications`);
  assert.deepEqual(offsets, published.map((item) => item + 1), `${what}: offsets`);
  const asked = server.log.filter((act) => act.type === 'steer' && act.id !== undefined).map((act) => act.data);
  assert.deepEqual(replies, asked, `${what}: replies`);
  assert.ok(!on.story.includes('closed'), what);
}

for (const format of FORMATS) {
  test(`everything arrives once and in order, in ${format}, wherever the connection is cut`, async () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) await run(seed, format);
  });
}

/** Sessions are lost as well: then what was written may be missing, but never doubled, reordered or left unanswered. */
async function runWithLosses(seed: number, format: Format): Promise<void> {
  const random = seeded(seed);
  const upTo = (n: number): number => Math.floor(random() * n);
  const on = stage({ format, random: seeded(seed + 1) });
  const { client, server, network, clock } = on;
  const offsets: number[] = [];
  const settled = new Map<number, 'reply' | { sent: boolean | undefined }>();
  let asked = 0;
  let publications = 0;
  let losses = 0;
  client.on('lost', () => (losses += 1));
  client.subscribe('news', (_, { offset }) => offsets.push(offset));
  await settle(on);

  for (let step = 0; step < STEPS; step += 1) {
    const dice = upTo(100);
    if (dice < 25) {
      const n = asked++;
      const done = (result: 'reply' | { sent: boolean | undefined }): void => {
        assert.ok(!settled.has(n), `call ${n} was settled twice`);
        settled.set(n, result);
      };
      client.call('ask', n).then(() => done('reply'), (error) => done({ sent: error.sent }));
    } else if (dice < 40) server.publish('news', publications++);
    else if (dice < 60) for (let n = upTo(6); n > 0; n -= 1) network.stepUp();
    else if (dice < 85) for (let n = upTo(6); n > 0; n -= 1) network.stepDown();
    else if (dice < 90) network.accept();
    else if (dice < 94) clock.advance(upTo(12_000));
    else if (dice < 98) network.latest.end();
    else {
      network.latest.end();
      server.forgetSessions();
    }
    if (step % 20 === 0) await turn();
  }
  for (let n = 0; n < 90; n += 1) {
    clock.advance(500);
    network.settle();
  }
  await settle(on);

  const what = `seed ${seed}, ${format}, ${losses} losses`;
  const calls = server.log.filter((act) => act.type === 'ask').map((act) => act.data as number);
  assert.deepEqual(calls, [...new Set(calls)].sort((a, b) => a - b), `${what}: calls reach the server once and in order`);
  assert.equal(settled.size, asked, `${what}: every call comes to an end`);
  for (const [n, result] of settled) {
    if (result === 'reply') assert.ok(calls.includes(n), what);
    else if (result.sent === false) assert.ok(!calls.includes(n), `${what}: call ${n} was said never to have been sent`);
    else assert.equal(result.sent, true, what);
  }
  // The history holds everything, so channels lose nothing even where sessions do.
  assert.deepEqual(offsets, [...Array(publications).keys()].map((n) => n + 1), `${what}: publications`);
}

for (const format of FORMATS) {
  test(`lost sessions duplicate and reorder nothing, and every request settles, in ${format}`, async () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) await runWithLosses(seed, format);
  });
}
