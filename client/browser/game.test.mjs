// The game: two play, one's plug is pulled, and it comes back to the same ship with every line of the chat.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startBrowser, startExample } from './support.mjs';

let game;
let browser;

before(async () => {
  [game, browser] = await Promise.all([startExample('example-game'), startBrowser()]);
});

after(async () => {
  await browser?.stop();
  await game?.stop();
});

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

const lines = (page) => page.evaluate(() => window.arena.chatLines().map((line) => line.text ?? line));

test('who was cut for five seconds has the same ship and each line once', async () => {
  const ann = await play('Ann');
  const bob = await play('Bob');
  assert.equal(
    await ann.evaluate(() => window.arena.room.id),
    await bob.evaluate(() => window.arena.room.id),
    'the lobby brings them together',
  );
  await say(ann, 'before');
  const seat = await bob.evaluate(() => ({ ship: window.arena.ship, member: window.arena.member }));
  await bob.waitForFunction(() => JSON.stringify(window.arena.chatLines()).includes('before'));

  await bob.click('#cut');
  await bob.waitForFunction(() => window.arena.client.state !== 'open');
  await say(ann, 'while you were gone');
  await bob.waitForFunction(() => window.arena.client.state === 'open');
  await bob.waitForFunction(() => JSON.stringify(window.arena.chatLines()).includes('gone'));
  await say(bob, 'I am back');
  await ann.waitForFunction(() => JSON.stringify(window.arena.chatLines()).includes('back'));

  for (const page of [ann, bob]) {
    const said = (await lines(page)).filter((line) => ['before', 'while you were gone', 'I am back'].includes(line));
    assert.deepEqual(said, ['before', 'while you were gone', 'I am back']);
  }
  assert.deepEqual(await bob.evaluate(() => ({ ship: window.arena.ship, member: window.arena.member })), seat);
});

test('the page shows round trip, tick and state, and the ship answers the keys', async () => {
  const page = await play('Cal');
  await page.waitForFunction(() => Number.isFinite(Number.parseFloat(document.querySelector('#rtt').textContent)));
  await page.waitForFunction(() => document.querySelector('#connection').dataset.state === 'open');
  const tick = await page.evaluate(() => window.arena.tick());
  await page.waitForFunction((before) => window.arena.tick() > before, tick);
  await page.keyboard.down('w');
  await page.keyboard.up('w');
  assert.ok(await page.evaluate(() => document.querySelectorAll('#scoreboard li').length > 0));
});

test('the leaderboard answers, and wrong input is refused with words', async () => {
  const page = await play('Dan');
  const top = await page.evaluate(() => window.arena.client.call('leaderboard.top', { limit: 5 }));
  assert.ok(Array.isArray(top));
  const refusal = await page.evaluate(() => window.arena.room.call('chat', { text: '' }).catch((error) => error.code));
  assert.equal(typeof refusal, 'string');
});
