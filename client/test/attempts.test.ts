import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from '../src/backoff.js';
import { seeded } from './support/random.js';
import { outcome, reconnect, settle, stage, turn } from './support/stage.js';

// Attempts to connect: their numbers, what late ones do, refused credentials, and when the next one is made.

test('attempts to resume are numbered over the whole life of a session', async () => {
  const on = stage();
  assert.equal(on.socket().query.get('attempt'), null);
  await settle(on);
  const numbers: (string | null)[] = [];
  for (let n = 0; n < 3; n += 1) {
    on.socket().end();
    on.wake();
    numbers.push(on.socket().query.get('attempt'));
    if (n !== 1) await settle(on);
  }
  assert.deepEqual(numbers, ['1', '2', '3']);
  on.server.forgetSessions();
  on.socket().end();
  await reconnect(on);
  on.socket().end();
  on.wake();
  assert.equal(on.socket().query.get('attempt'), '1', 'another session, another count');
});

test('a client whose abandoned attempt arrives late reconnects after 4500, once for each', async () => {
  const on = stage({ connectTimeoutMs: 3000 });
  await settle(on);
  on.socket().end();
  on.wake();
  on.clock.advance(3000); // No welcome: the attempt is given up.
  await reconnect(on);
  assert.equal(on.client.state, 'open');
  const told: string[] = [];
  on.client.on('retry', ({ error }) => told.push(error.message));
  on.server.tell(on.server.session, { event: 'goodbye', code: 4500, reason: 'superseded' });
  on.network.settle();
  on.socket().end(4500);
  assert.equal(on.client.state, 'reconnecting');
  assert.match(told[0] ?? '', /given up reached the server late/);
  await reconnect(on);
  assert.deepEqual(on.story, ['open', 'reconnecting', 'open resumed', 'reconnecting', 'open resumed']);
  on.socket().end(4500);
  assert.equal(on.client.state, 'closed', 'there is no other attempt of its own that could have done it');
});

test('a client reconnects after the server called its attempt stale', async () => {
  const on = stage();
  await settle(on);
  on.socket().end();
  on.wake();
  on.socket().end(); // Perhaps it got there.
  on.server.session.attempt = 5;
  await reconnect(on);
  assert.equal(on.client.state, 'reconnecting', 'turned away as superseded, and not believed');
  on.server.session.attempt = 0;
  await reconnect(on);
  assert.equal(on.client.state, 'open');
});

test('a client without abandoned attempts accepts that it was superseded', async () => {
  const on = stage();
  await settle(on);
  on.socket().end(4500);
  assert.deepEqual(on.story, ['open', 'closed', 'closed by superseded']);
});

test('a new session has no attempts behind it', async () => {
  const on = stage();
  await settle(on);
  on.socket().end();
  on.wake();
  on.socket().end();
  on.server.forgetSessions();
  await reconnect(on);
  assert.deepEqual(on.story.slice(-2), ['lost unknown', 'open']);
  on.socket().end(4500);
  assert.equal(on.client.state, 'closed');
});

test('a refused credential is reported, and another one is requested once', async () => {
  const asked: string[] = [];
  const on = stage({
    accessToken: () => {
      asked.push(`ticket-${asked.length}`);
      return asked.at(-1);
    },
  });
  const told: [string, string][] = [];
  on.client.on('unauthorized', ({ code, message }) => told.push([code, message]));
  on.server.refused.add('ticket-0');
  await settle(on);
  assert.deepEqual(told, [['ticket_expired', 'Your ticket has expired.']]);
  on.clock.advance(0);
  await settle(on);
  assert.deepEqual(asked, ['ticket-0', 'ticket-1']);
  assert.deepEqual(on.story, ['open']);

  on.socket().end();
  for (const n of [2, 3]) on.server.refused.add(`ticket-${n}`);
  await reconnect(on);
  on.clock.advance(0);
  await settle(on);
  assert.equal(asked.length, 4);
  assert.deepEqual(on.story, ['open', 'reconnecting', 'closed', 'closed by unauthorized']);
  assert.equal(told.length, 3);
  on.clock.advance(60_000);
  assert.equal(on.network.sockets.length, 4, 'and that is all');
});

test('a fixed credential is not sent again after a refusal', async () => {
  for (const accessToken of ['stale', undefined]) {
    const on = stage({ accessToken });
    on.server.refused.add(accessToken ?? null);
    const waiting = outcome(on.client.call('echo'));
    let told = 0;
    on.client.on('unauthorized', () => (told += 1));
    await settle(on);
    assert.deepEqual(on.story, ['closed', 'closed by unauthorized']);
    assert.equal(told, 1);
    const result = await waiting;
    assert.ok('error' in result);
    assert.match(result.error.message, /Your ticket has expired/);
    on.clock.advance(60_000);
    assert.equal(on.network.sockets.length, 1);
  }
});

test('a guest has no credential', async () => {
  for (const guest of [undefined, null]) {
    for (const accessToken of [guest, () => guest, async () => guest]) {
      const on = stage({ accessToken });
      await turn();
      await settle(on);
      assert.equal(on.socket().query.get('access_token'), null);
      assert.equal(on.client.state, 'open');
    }
  }
});

test('a page can close the client when it is notified of a refusal', async () => {
  const on = stage({ accessToken: () => 'stale' });
  on.server.refused.add('stale');
  on.client.on('unauthorized', () => on.client.close());
  await settle(on);
  assert.deepEqual(on.story, ['closed', 'closed by the page']);
  assert.equal(on.clock.pending, 0);
});

test('a refusal has its code and message', async () => {
  const on = stage();
  on.network.accept();
  on.socket().down.length = 0;
  on.socket().onmessage?.({ data: JSON.stringify({ event: 'goodbye', code: 4502, reason: 'There is no such format.', error: 'bad_query' }) });
  let message = '';
  on.client.on('closed', (error) => (message = error?.message ?? ''));
  on.socket().end(4502);
  assert.match(message, /There is no such format\. \(bad_query\)/);
});

test('reconnectNow ends any wait, and checks a connection', async () => {
  const on = stage();
  await settle(on);
  const pings = on.server.pings.length;
  on.client.reconnectNow();
  on.network.settle();
  assert.equal(on.server.pings.length, pings + 1);
  on.server.tell(on.server.session, { event: 'goodbye', code: 4002, reason: 'deploy', reconnect: { after_ms: 60_000, jitter_ms: 0 } });
  on.network.settle();
  on.socket().end(4002);
  on.wake();
  assert.equal(on.network.sockets.length, 1);
  on.client.reconnectNow();
  assert.equal(on.network.sockets.length, 2);
  on.client.reconnectNow();
  assert.equal(on.network.sockets.length, 2, 'an attempt that is under way is left alone');
  on.client.close();
  assert.throws(() => on.client.reconnectNow(), { code: 'closed' });
});

/** When clients make their attempts in an outage: for each, the moments after the loss. An attempt that fails takes `costMs`. */
function attempts(clients: number, outageMs: number, windowMs: number, costMs: number): number[][] {
  const random = seeded(clients + outageMs);
  return Array.from({ length: clients }, () => {
    const backoff = new Backoff(250, 20_000, random);
    backoff.hurry(0, windowMs);
    const made: number[] = [];
    for (let now = backoff.next(0); ; ) {
      made.push(now);
      if (now >= outageMs) return made;
      now += Math.min(costMs, backoff.patience(now, 10_000));
      now += backoff.next(now);
    }
  });
}

test('no session is lost if the server is back within its window', () => {
  for (const outage of [5000, 10_000, 15_000, 20_000, 25_000, 28_000]) {
    for (const cost of [0, 20_000]) {
      const back = attempts(1000, outage, 30_000, cost).map((made) => made.at(-1) as number);
      // An attempt that hangs in a dead network is given up after three seconds at the least.
      if (outage + (cost ? 3000 : 0) <= 28_000) assert.ok(Math.max(...back) < 30_000, `${outage} ms, ${cost}: ${Math.max(...back)}`);
      const late = back.filter((at) => at >= 30_000).length;
      assert.ok(late <= (cost ? 400 : 5), `${outage} ms, ${cost}: ${late} of 1000 came too late`);
    }
  }
});

test('20,000 clients that wait for the end of their window do not reconnect at once', () => {
  for (const outage of [2000, 10_000, 20_000, 25_000]) {
    const all = attempts(20_000, outage, 30_000, 0);
    const back = all.map((made) => made.at(-1) as number).sort((a, b) => a - b);
    let first = 0;
    let most = 0;
    back.forEach((at, n) => {
      while (at - (back[first] as number) > 100) first += 1;
      most = Math.max(most, n - first + 1);
    });
    assert.ok(most < 2500, `${outage} ms: ${most} in a tenth of a second`);
    const busiest = Math.max(...all.map((made) => made.length));
    assert.ok(busiest < 60, `${outage} ms: a client made ${busiest} attempts`);
  }
});

test('the link limits its waits only while its session can be resumed', async () => {
  const on = stage({ random: () => 0.999_999 });
  await settle(on);
  on.network.reachable = false;
  const waits: { at: number; delayMs: number }[] = [];
  const lostAt = on.clock.now();
  on.client.on('retry', ({ delayMs }) => waits.push({ at: on.clock.now() - lostAt, delayMs }));
  on.socket().end();
  for (let n = 0; n < 600; n += 1) {
    on.network.accept();
    on.clock.advance(250);
  }
  const within = waits.filter(({ at }) => at < 30_000);
  for (const { at, delayMs } of within) assert.ok(delayMs <= Math.max((30_000 - at) / 2, 250), `${delayMs} ms after ${at}`);
  assert.ok(within.length > 8);
  assert.ok(waits.filter(({ at }) => at > 45_000).every(({ delayMs }) => delayMs > 19_000), 'after that it waits as long as ever');
});
