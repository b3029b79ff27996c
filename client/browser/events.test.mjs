// Pages whose network blocks WebSockets: a proxy that answers no upgrade, and breaks connections when it is told to.
import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';

import { play as playIn, say, startAll, startBrowser, startExample } from './support.mjs';

let game;
let scores;
let browser;
let stop;

before(async () => {
  const started = await startAll(startExample('example-game'), startExample('example-scores', '--speed', '200'), startBrowser());
  [game, scores, browser] = started.parts;
  stop = started.stop;
});

after(() => stop?.());

/** A proxy in front of a server. It passes WebSockets on only while `lets` is true. */
async function startProxy(target) {
  const { hostname, port } = new URL(target);
  const sockets = new Set();
  const proxy = { lets: false, refused: 0, requests: [] };
  const server = createServer((incoming, outgoing) => {
    proxy.requests.push({ url: incoming.url, headers: incoming.headers });
    const { method, url: path, headers } = incoming;
    const passed = request({ hostname, port, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.rawHeaders);
      answer.on('error', () => outgoing.destroy());
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    outgoing.on('close', () => passed.destroy());
    incoming.pipe(passed);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (incoming, socket, head) => {
    socket.on('error', () => {});
    if (!proxy.lets) {
      proxy.refused += 1;
      return socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    }
    const passed = connect(port, hostname, () => {
      const lines = incoming.rawHeaders.reduce((text, each, n) => text + each + (n % 2 ? '\r\n' : ': '), `GET ${incoming.url} HTTP/1.1\r\n`);
      passed.write(`${lines}\r\n`);
      passed.write(head);
      passed.pipe(socket).pipe(passed);
    });
    passed.on('error', () => socket.destroy());
    socket.on('close', () => passed.destroy());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(proxy, {
    url: `http://127.0.0.1:${server.address().port}`,
    cut: () => sockets.forEach((socket) => socket.destroy()),
    stop: () => {
      server.close();
      sockets.forEach((socket) => socket.destroy());
    },
  });
}

const play = (url, name) => playIn(browser, url, name);

const hears = (page, text) => page.waitForFunction((line) => JSON.stringify(window.arena.chatLines()).includes(line), text);
const transport = (page) => page.evaluate(() => window.arena.client.transport);

test('a player without WebSocket plays by events, and changes to a WebSocket when the network lets it', async () => {
  const proxy = await startProxy(game.url);
  try {
    const ann = await play(game.url, 'Ann');
    const bob = await play(proxy.url, 'Bob');
    assert.equal(await transport(bob), 'events');
    assert.ok(proxy.refused >= 2);
    assert.equal(await ann.evaluate(() => window.arena.room.id), await bob.evaluate(() => window.arena.room.id));
    const seat = await bob.evaluate(() => ({ member: window.arena.member, session: window.arena.client.sessionId }));
    await say(ann, 'to Bob');
    await hears(bob, 'to Bob');
    await say(bob, 'from Bob');
    await hears(ann, 'from Bob');
    await bob.waitForFunction((tick) => window.arena.tick() > tick + 5, await bob.evaluate(() => window.arena.tick()));

    // The network breaks, and WebSockets are still blocked.
    proxy.cut();
    await say(ann, 'while Bob was cut off');
    await hears(bob, 'while Bob was cut off');
    assert.equal(await transport(bob), 'events');

    await bob.evaluate(() => {
      window.seen = [];
      window.arena.client.on('transport', (now) => window.seen.push(now));
    });
    proxy.lets = true;
    await bob.evaluate(() => window.dispatchEvent(new Event('online')));
    await bob.waitForFunction(() => window.seen.includes('websocket') && window.arena.client.state === 'open');
    await say(ann, 'on a WebSocket');
    await hears(bob, 'on a WebSocket');
    assert.deepEqual(await bob.evaluate(() => ({ member: window.arena.member, session: window.arena.client.sessionId })), seat);
    const said = await bob.evaluate(() => window.arena.chatLines().map((line) => line.text ?? line));
    const expected = ['to Bob', 'from Bob', 'while Bob was cut off', 'on a WebSocket'];
    assert.deepEqual(said.filter((line) => expected.includes(line)), expected);
    await Promise.all([ann.close(), bob.close()]);
  } finally {
    proxy.stop();
  }
});

test("a page with nothing but the browser's EventSource misses nothing when its connection breaks", async () => {
  const proxy = await startProxy(scores.url);
  try {
    const page = await browser.open(`${proxy.url}/plain`);
    await page.evaluate(() => {
      window.offsets = [];
      window.gaps = 0;
      window.opened = 0;
      const source = new EventSource('/ws/events?channel=updates');
      source.onopen = () => (window.opened += 1);
      source.onmessage = ({ data }) => {
        const event = JSON.parse(data);
        if (event.event === 'publication') window.offsets.push(event.offset);
        if (event.event === 'subscribed') {
          if (window.opened > 1 && !event.recovered) window.gaps += 1;
          window.offsets.push(...event.publications.map(({ offset }) => offset));
        }
      };
    });
    for (const opened of [2, 3]) {
      const before = await page.evaluate(() => window.offsets.length);
      await page.waitForFunction((least) => window.offsets.length > least + 2, before);
      proxy.cut();
      await page.waitForFunction((least) => window.opened >= least, opened);
    }
    const before = await page.evaluate(() => window.offsets.length);
    await page.waitForFunction((least) => window.offsets.length > least + 2, before);
    const { offsets, gaps } = await page.evaluate(() => ({ offsets: window.offsets, gaps: window.gaps }));
    assert.equal(gaps, 0);
    assert.deepEqual(offsets, offsets.map((_, n) => offsets[0] + n), 'each offset once and in order');
    const ids = proxy.requests.filter(({ url }) => url.startsWith('/ws/events')).map(({ headers }) => headers['last-event-id']);
    assert.equal(ids.length, 3);
    assert.equal(ids[0], undefined);
    assert.match(ids[2], /^[0-9a-f]+\.\d+$/);
    await page.close();
  } finally {
    proxy.stop();
  }
});

/** The first event of a stream. */
async function firstEvent(url) {
  const aborting = new AbortController();
  const answer = await fetch(url, { signal: aborting.signal });
  let text = '';
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const event = text.match(/^data: (.*)$/m)?.[1];
    if (!event) continue;
    aborting.abort();
    return JSON.parse(event);
  }
  throw new Error(`the stream has no event: ${text}`);
}

test('a page without storage that is left ends its session over events, and its rooms at once', async () => {
  const proxy = await startProxy(game.url);
  try {
    const ann = await play(game.url, 'Ann');
    const room = await ann.evaluate(() => window.arena.room.id);
    const bob = await browser.open(`${proxy.url}/favicon.svg`);
    const seat = await bob.evaluate(async (id) => {
      const { connect } = await import('/courtside.js');
      window.client = connect('/ws', { transport: 'events' });
      window.room = await window.client.joinRoom(id, {});
      return { transport: window.client.transport, member: window.room.member };
    }, room);
    assert.equal(seat.transport, 'events');
    await hears(ann, 'has taken a ship');
    const lines = () => ann.evaluate(() => window.arena.chatLines().map(({ text }) => text));
    const name = (await lines()).findLast((line) => line.endsWith('has taken a ship.')).replace(' has taken a ship.', '');
    await bob.goto('about:blank');
    await hears(ann, `${name} has left the field.`);
    const ends = proxy.requests.map(({ url }) => new URL(url, proxy.url)).filter(({ searchParams }) => searchParams.get('end') === 'true');
    assert.equal(ends.length, 1);
    // Within its window, a session that was only lost could be resumed.
    const welcome = await firstEvent(`${game.url}/ws/events?resume=${ends[0].searchParams.get('resume')}`);
    assert.deepEqual([welcome.resumed, welcome.reason], [false, 'expired']);
    await Promise.all([ann.close(), bob.close()]);
  } finally {
    proxy.stop();
  }
});
