// A session and its page: a reload keeps the session, and leaving the page ends it.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { play as playIn, say, startAll, startBrowser, startExample } from './support.mjs';

let game;
let browser;
let stop;

before(async () => {
  const started = await startAll(startExample('example-game'), startBrowser());
  [game, browser] = started.parts;
  stop = started.stop;
});

afterEach(() => browser?.closePages());

after(() => stop?.());

const play = (name) => playIn(browser, game.url, name);

/** The credential of a player with this name. */
async function tokenOf(name) {
  const answer = await fetch(`${game.url}/sign-in`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name }) });
  return (await answer.json()).token;
}

// Chat lines stay, so nothing is missed between two looks at them.
const hasLine = (page, text) => page.waitForFunction((wanted) => window.arena.chatLines().some((line) => line.text === wanted), text);

const linesAbout = (page, name) => page.evaluate((about) => window.arena.chatLines().map(({ text }) => text).filter((text) => text.startsWith(about)), `${name} `);

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
  await page.evaluate(async ([room, accessToken]) => {
    const { connect } = await import('/courtside.js');
    window.client = connect('/ws', { accessToken });
    window.room = await window.client.joinRoom(room);
    window.room.onMessage(() => {});
  }, [room, await tokenOf('Jon')]);
  await watcher.waitForFunction(() => Object.values(window.arena.state().pilots).some(({ name }) => name === 'Jon'));
  // Not for a fixed time: Jon comes back when the watcher has seen the ghost, however long that takes.
  await page.evaluate(() => window.client.cut(60_000));
  await hasLine(watcher, 'Jon has lost the connection; the ship waits.');
  await watcher.waitForFunction(() => Object.values(window.arena.state().pilots).some(({ name, ghost }) => name === 'Jon' && ghost));
  await page.evaluate(() => window.client.reconnectNow());
  await hasLine(watcher, 'Jon is back.');
  await watcher.waitForFunction(() => Object.values(window.arena.state().pilots).some(({ name, ghost }) => name === 'Jon' && !ghost));
  await page.goto('about:blank');
  await hasLine(watcher, 'Jon has left the field.');
  await watcher.waitForFunction(() => !Object.values(window.arena.state().pilots).some(({ name }) => name === 'Jon'));
  assert.deepEqual((await linesAbout(watcher, 'Jon')).slice(-3), ['Jon has lost the connection; the ship waits.', 'Jon is back.', 'Jon has left the field.']);
  assert.ok(await watcher.evaluate(() => Object.values(window.arena.state().pilots).some(({ name }) => name === 'Ida')));
});

test('close() leaves no ghost, whatever is in progress', async () => {
  const watcher = await play('Kim');
  const room = await watcher.evaluate(() => window.arena.room.id);
  const page = await browser.open(`${game.url}/favicon.svg`);
  // While a join is in progress. If the session ends before the lobby gets to the join, the room never sees Lea; otherwise it
  // sees Lea join and leave. So no chat line of Lea is certain to come.
  const answer = await page.evaluate(async ([room, accessToken]) => {
    const { connect } = await import('/courtside.js');
    const client = connect('/ws', { accessToken });
    await client.whenOpen();
    const joining = client.joinRoom(room);
    client.close();
    return joining.then(() => 'joined', ({ code }) => code);
  }, [room, await tokenOf('Lea')]);
  assert.equal(answer, 'closed');
  // As a member.
  await page.evaluate(async ([room, accessToken]) => {
    const { connect } = await import('/courtside.js');
    const client = connect('/ws', { accessToken });
    const joined = await client.joinRoom(room);
    joined.onMessage(() => {});
    client.close();
  }, [room, await tokenOf('Nia')]);
  await hasLine(watcher, 'Nia has left the field.');
  // While offline, so the close reaches the server through another connection.
  await page.evaluate(async ([room, accessToken]) => {
    const { connect } = await import('/courtside.js');
    const client = connect('/ws', { accessToken });
    const joined = await client.joinRoom(room);
    joined.onMessage(() => {});
    client.cut(60_000);
    client.close();
  }, [room, await tokenOf('Max')]);
  await hasLine(watcher, 'Max has left the field.');
  await watcher.waitForFunction(() => !Object.values(window.arena.state().pilots).some(({ name }) => ['Lea', 'Nia', 'Max'].includes(name)));
  assert.deepEqual(await linesAbout(watcher, 'Nia'), ['Nia has taken a ship.', 'Nia has left the field.']);
  assert.ok(!(await linesAbout(watcher, 'Lea')).includes('Lea has lost the connection; the ship waits.'));
});
