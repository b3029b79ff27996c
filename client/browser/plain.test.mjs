// A page with nothing but the browser's WebSocket is a client.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { startAll, startBrowser, startExample } from './support.mjs';

let scores;
let browser;
let stop;

before(async () => {
  const started = await startAll(startExample('example-scores', '--speed', '200'), startBrowser());
  [scores, browser] = started.parts;
  stop = started.stop;
});

afterEach(() => browser?.closePages());

after(() => stop?.());

test("'Hello Server!' gets an instructive error, and the connection stays open", async () => {
  const page = await browser.open(`${scores.url}/plain`);
  const seen = await page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const events = [];
        const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws');
        socket.onopen = () => socket.send('Hello Server!');
        socket.onerror = () => reject(new Error('the connection failed'));
        socket.onclose = (event) => reject(new Error(`closed with ${event.code}`));
        socket.onmessage = (message) => {
          const event = JSON.parse(message.data);
          events.push(event);
          if (event.event === 'error') socket.send(JSON.stringify({ action: 'ping', id: 1 }));
          if (event.event === 'pong') resolve(events);
        };
      }),
  );
  assert.deepEqual(
    seen.map((event) => event.event),
    ['welcome', 'error', 'pong'],
  );
  assert.equal(seen[1].code, 'not_an_action');
  assert.match(seen[1].message, /"action":"subscribe"/);
});

test('ten plain lines receive publications, and close() closes cleanly', async () => {
  const page = await browser.open(`${scores.url}/plain`);
  const closed = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws');
        socket.onopen = () => socket.send(JSON.stringify({ action: 'subscribe', channel: 'updates' }));
        socket.onmessage = (message) => {
          const { event } = JSON.parse(message.data);
          if (event === 'publication') socket.close(1000);
        };
        socket.onclose = ({ code, wasClean }) => resolve({ code, wasClean });
      }),
  );
  assert.deepEqual(closed, { code: 1000, wasClean: true });
});

test('the page that shows its ten lines fills with what they receive', async () => {
  const page = await browser.open(`${scores.url}/plain`);
  await page.waitForFunction(() => document.querySelectorAll('li').length > 3);
  assert.match(await page.textContent('#source'), /new WebSocket/);
});
