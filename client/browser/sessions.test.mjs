// A session and its page: a reload keeps the session, and leaving the page ends it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startAll, startBrowser, startExample } from './support.mjs';

let game;
let browser;
let stop;

before(async () => {
  const started = await startAll(startExample('example-game'), startBrowser());
  [game, browser] = started.parts;
  stop = started.stop;
});

after(() => stop?.());

async function play(name) {
  const page = await browser.open(game.url);
  await page.fill('#name', name);
  await page.click('#play');
  await page.waitForFunction(() => window.arena?.ship != null && window.arena.state() != null);
  return page;
}

const say = async (page, text) => {
  await page.evaluate((line) => window.arena.room.call('chat', { text: line }), text);
};

test('a reloaded page has the same ship and the chat', async () => {
  const page = await play('Gus');
  await say(page, 'before the reload');
  const seat = await page.evaluate(() => ({ ship: window.arena.ship, member: window.arena.member, room: window.arena.room.id }));
  await page.reload();
  await page.waitForFunction(() => window.arena?.ship != null && window.arena.state() != null);
  assert.deepEqual(await page.evaluate(() => ({ ship: window.arena.ship, member: window.arena.member, room: window.arena.room.id })), seat);
  await page.waitForFunction(() => JSON.stringify(window.arena.chatLines()).includes('before the reload'));
  const numbers = await page.evaluate(() => [...document.querySelectorAll('#chat-log p')].map((row) => Number(row.dataset.number)));
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b), 'in the order in which it was said');
  assert.equal(await page.evaluate(() => document.body.classList.contains('menu-open')), false, 'nobody asks again whether to play');
  assert.equal(await page.evaluate(() => sessionStorage.length), 0, 'a duplicated tab has nothing to take');
  await say(page, 'after the reload');
  await page.waitForFunction(() => JSON.stringify(window.arena.chatLines()).includes('after the reload'));
});

test('a page that is left ends its session, and one whose network fails does not', async () => {
  const watcher = await play('Ida');
  const room = await watcher.evaluate(() => window.arena.room.id);
  const page = await browser.open(`${game.url}/favicon.svg`);
  const names = () => watcher.evaluate(() => Object.values(window.arena.state().pilots).map(({ name, ghost }) => (ghost ? `${name} as a ghost` : name)));
  const comes = (name) => page.evaluate(async ([name, room]) => {
    const { connect } = await import('/courtside.js');
    window.client = connect('/ws');
    window.room = await window.client.joinRoom(room, { name });
    window.room.onMessage(() => {});
  }, [name, room]);
  await comes('Jon');
  await watcher.waitForFunction(() => Object.values(window.arena.state().pilots).some(({ name }) => name === 'Jon'));
  await page.evaluate(() => window.client.cut(1000));
  await watcher.waitForFunction(() => Object.values(window.arena.state().pilots).some(({ name, ghost }) => name === 'Jon' && ghost));
  await watcher.waitForFunction(() => Object.values(window.arena.state().pilots).some(({ name, ghost }) => name === 'Jon' && !ghost));
  await page.goto('about:blank');
  await watcher.waitForFunction(() => !Object.values(window.arena.state().pilots).some(({ name }) => name === 'Jon'));
  const lines = await watcher.evaluate(() => window.arena.chatLines().map(({ text }) => text));
  assert.deepEqual(lines.filter((text) => text.startsWith('Jon')).slice(-3), ['Jon has lost the connection; the ship waits.', 'Jon is back.', 'Jon has left the field.']);
  assert.ok((await names()).includes('Ida'));
});

test('close() leaves no ghost, whatever is in progress', async () => {
  const watcher = await play('Kim');
  const room = await watcher.evaluate(() => window.arena.room.id);
  const page = await browser.open(`${game.url}/favicon.svg`);
  const says = (name) => watcher.waitForFunction((line) => window.arena.chatLines().some(({ text }) => text === line), `${name} has left the field.`);
  // A join without waiting for it.
  await page.evaluate(async (room) => {
    const { connect } = await import('/courtside.js');
    const client = connect('/ws');
    await client.whenOpen();
    client.joinRoom(room, { name: 'Lea' }).catch(() => {});
    client.close();
  }, room);
  await says('Lea');
  // A close while offline, which reaches the server through another connection.
  await page.evaluate(async (room) => {
    const { connect } = await import('/courtside.js');
    const client = connect('/ws');
    const joined = await client.joinRoom(room, { name: 'Max' });
    joined.onMessage(() => {});
    client.cut(60_000);
    client.close();
  }, room);
  await says('Max');
  const lines = await watcher.evaluate(() => window.arena.chatLines().map(({ text }) => text));
  assert.ok(!lines.includes('Lea has lost the connection; the ship waits.'));
});
