import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FORMATS, settle, stage, turn, type Stage } from './support/stage.js';

/** A connected client whose function returns `ticket-1`, `ticket-2` and so on, or fails. */
async function begin(options: { format?: 'json' | 'msgpack'; fails?: () => boolean } = {}): Promise<{ on: Stage; asked: () => number; refreshed: () => unknown[]; told: string[] }> {
  let asked = 0;
  const { format = 'json', fails = () => false } = options;
  const on = stage({
    format,
    accessToken: async () => {
      asked += 1;
      if (fails()) throw new Error('offline');
      return `ticket-${asked}`;
    },
  });
  const told: string[] = [];
  on.client.on('unauthorized', ({ code }) => told.push(code));
  await turn();
  await settle(on);
  return { on, asked: () => asked, refreshed: () => on.server.log.filter(({ action }) => action === 'refresh').map(({ token }) => token), told };
}

async function warn(on: Stage, inMs: number): Promise<void> {
  on.server.tell(on.server.session, { event: 'expiring', in_ms: inMs });
  await settle(on);
  await settle(on);
}

test('a client that is warned shows a fresh credential, and the page notices nothing', async () => {
  for (const format of FORMATS) {
    const { on, asked, refreshed, told } = await begin({ format });
    await warn(on, 30_000);
    assert.deepEqual(refreshed(), ['ticket-2']);
    await warn(on, 30_000);
    assert.deepEqual([refreshed(), asked(), told], [['ticket-2', 'ticket-3'], 3, []]);
    // A warning is not counted: the session is resumed without a gap.
    on.socket().end();
    on.wake();
    await settle(on);
    await settle(on);
    assert.deepEqual(on.story, ['open', 'reconnecting', 'open resumed']);
    assert.deepEqual(on.errors, []);
  }
});

test('a fixed credential cannot be refreshed', async () => {
  for (const accessToken of ['fixed', undefined, () => undefined]) {
    const on = stage({ accessToken });
    await settle(on);
    await warn(on, 30_000);
    assert.deepEqual(on.server.log, []);
    assert.deepEqual([on.story, on.errors], [['open'], []]);
  }
});

test('a refused fresh credential is reported, and the session goes on', async () => {
  const { on, refreshed, told } = await begin();
  on.server.refused.add('ticket-2');
  await warn(on, 30_000);
  assert.deepEqual([refreshed(), told, on.story], [['ticket-2'], ['ticket_expired'], ['open']]);
});

test('a function that fails is called again after half of the time that is left', async () => {
  let isDown = false;
  const { on, asked, refreshed } = await begin({ fails: () => isDown });
  isDown = true;
  await warn(on, 8000);
  assert.deepEqual(on.errors.map(({ code }) => code), ['token_failed']);
  on.clock.advance(4000);
  await settle(on);
  assert.equal(asked(), 3);
  isDown = false;
  on.clock.advance(2000);
  await settle(on);
  await settle(on);
  assert.deepEqual([asked(), refreshed(), on.errors.length], [4, ['ticket-4'], 2]);
  isDown = true;
  await warn(on, 1500);
  on.clock.advance(1500);
  await settle(on);
  assert.equal(asked(), 5, 'too little time is left');
});

test('a credential that the server cannot check is shown again after half of the time that is left', async () => {
  for (const format of FORMATS) for (const code of ['unavailable', 'authentication_timeout']) {
    const { on, refreshed, told } = await begin({ format });
    on.server.uncheckable = code;
    await warn(on, 8000);
    assert.deepEqual([refreshed(), on.errors.map((error) => error.code), told], [['ticket-2'], [code], []]);
    on.clock.advance(4000);
    await settle(on);
    await settle(on);
    assert.deepEqual(refreshed(), ['ticket-2', 'ticket-3']);
    on.server.uncheckable = undefined;
    on.clock.advance(2000);
    await settle(on);
    await settle(on);
    assert.deepEqual([refreshed(), on.errors.length, told, on.story], [['ticket-2', 'ticket-3', 'ticket-4'], 2, [], ['open']]);
    on.clock.advance(2000);
    await settle(on);
    assert.equal(refreshed().length, 3, 'once it is accepted, there is nothing to do');
  }
});

test('an answer that takes its time leaves less for the next attempt', async () => {
  const { on, refreshed } = await begin();
  on.server.uncheckable = 'authentication_timeout';
  on.server.tell(on.server.session, { event: 'expiring', in_ms: 8000 });
  on.network.settle();
  await turn();
  // The credential is on its way.
  on.clock.advance(4000);
  await settle(on);
  assert.equal(refreshed().length, 1);
  on.clock.advance(2000);
  await settle(on);
  await settle(on);
  assert.equal(refreshed().length, 2);
});

test('a credential that is late for its connection is not sent on the next one', async () => {
  const hand: ((token: string) => void)[] = [];
  const on = stage({ accessToken: () => new Promise<string>((resolve) => hand.push(resolve)) });
  hand[0]?.('first');
  await turn();
  await settle(on);
  await warn(on, 30_000);
  on.socket().end();
  on.wake();
  hand[2]?.('third');
  await turn();
  await settle(on);
  hand[1]?.('second');
  await settle(on);
  assert.deepEqual(on.server.log, []);
  assert.equal(on.socket().query.get('access_token'), 'third');
});

test('after the end of its credential, a client begins a new session with another one', async () => {
  const { on, asked, told } = await begin();
  on.server.forgetSessions();
  on.server.expire(on.socket());
  await settle(on);
  on.wake();
  await turn();
  await settle(on);
  await settle(on);
  assert.deepEqual([told, asked()], [['expired'], 2]);
  assert.deepEqual(on.story, ['open', 'reconnecting', 'lost unknown', 'open']);
});

test('a page can have a fresh credential shown at once', async () => {
  for (const format of FORMATS) {
    const { on, refreshed, told } = await begin({ format });
    const done = on.client.refresh();
    await settle(on);
    await settle(on);
    await done;
    assert.deepEqual(refreshed(), ['ticket-2']);
    on.server.refused.add('ticket-3');
    const refused = assert.rejects(on.client.refresh(), { code: 'ticket_expired' });
    await settle(on);
    await settle(on);
    await refused;
    assert.deepEqual([told, on.story], [[], ['open']]);
  }
});

test('a page that has no fresh credential is told so', async () => {
  let isDown = false;
  const { on } = await begin({ fails: () => isDown });
  isDown = true;
  await assert.rejects(on.client.refresh(), { code: 'token_failed' });
  for (const [accessToken, code] of [['fixed', 'bad_option'], [undefined, 'bad_option'], [() => undefined, 'token_failed']] as const) {
    const other = stage({ accessToken });
    await settle(other);
    await assert.rejects(other.client.refresh(), { code });
    assert.deepEqual(other.server.log, []);
    other.client.close();
    await assert.rejects(other.client.refresh(), { code: 'closed' });
  }
});
