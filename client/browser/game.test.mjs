// The game: of two players, one is disconnected and gets back the same ship and every chat line.
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

const lines = (page) => page.evaluate(() => window.arena.chatLines().map(({ text }) => text));

test('a player that was disconnected for five seconds has the same ship and each line once', async () => {
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

  for (const page of [ann, bob]) {
    await page.waitForFunction(() => window.arena.chatLines().some(({ text }) => text === 'I am back'));
    const said = (await lines(page)).filter((line) => ['before', 'while you were gone', 'I am back'].includes(line));
    assert.deepEqual(said, ['before', 'while you were gone', 'I am back']);
  }
  assert.deepEqual(await bob.evaluate(() => ({ ship: window.arena.ship, member: window.arena.member })), seat);
});

test('the page shows round trip, tick and state, and the ship follows the keys', async () => {
  const page = await play('Cal');
  await page.waitForFunction(() => Number.isFinite(Number.parseFloat(document.querySelector('#rtt').textContent)));
  await page.waitForFunction(() => document.querySelector('#connection').dataset.state === 'open');
  const tick = await page.evaluate(() => window.arena.tick());
  await page.waitForFunction((before) => window.arena.tick() > before, tick);
  await page.keyboard.down('w');
  await page.keyboard.up('w');
  await page.waitForFunction(() => document.querySelectorAll('#scoreboard li').length > 0);
});

test('the leaderboard answers, and wrong input is refused with a message', async () => {
  const page = await play('Dan');
  const top = await page.evaluate(() => window.arena.client.call('leaderboard.top', { limit: 5 }));
  assert.ok(Array.isArray(top));
  const refusal = await page.evaluate(() => window.arena.room.call('chat', { text: '' }).catch((error) => error.code));
  assert.equal(typeof refusal, 'string');
});

test('the player’s ship moves before the server answers, and ends where the server has it', async () => {
  const page = await play('Eve');
  await page.waitForFunction(() => window.arena.own() !== null);
  // Toward the middle of the field, because at a wall the ship would not move.
  const { own, told, input } = await page.evaluate(async () => {
    const code = window.arena.own().x < 1200 ? 'KeyD' : 'KeyA';
    const press = (type) => window.dispatchEvent(new KeyboardEvent(type, { code, bubbles: true }));
    press('keydown');
    while (Math.abs(window.arena.own().vx) < 5) await new Promise(requestAnimationFrame);
    press('keyup');
    const { me } = window.arena.state();
    return { own: window.arena.own().vx, told: me.vx / 10, input: me.input };
  });
  assert.ok(Math.abs(own) >= 5 && Math.abs(told) < 5, `${own} is shown when ${told} was told`);
  await page.waitForFunction((before) => window.arena.state().me?.input > before + 30, input);
  await page.waitForFunction(() => {
    const [own, me] = [window.arena.own(), window.arena.state().me];
    return own && me && Math.hypot(own.x - me.x / 100, own.y - me.y / 100) < 30;
  });
});

test('a page receives the nearby ships and all pilots', async () => {
  const page = await play('Fay');
  await page.waitForFunction(() => {
    const { me, ships, pilots, radar } = window.arena.state();
    if (!me) return false;
    const places = Object.values(ships).map(({ x, y }) => Math.hypot(x / 10 - me.x / 100, y / 10 - me.y / 100));
    const count = (map) => Object.keys(map).length;
    return places.every((distance) => distance < 1200) && count(ships) < count(pilots) && count(radar) > 0;
  });
});

test('the button beside the start panel closes the panel, and its label says so', async () => {
  const page = await browser.open(game.url);
  await page.waitForFunction(() => window.arena?.state() != null);
  const seen = () => page.evaluate(() => ({ label: document.querySelector('#seat').textContent, panel: document.body.classList.contains('menu-open'), plays: window.arena.ship !== null }));
  assert.deepEqual(await seen(), { label: 'Play', panel: true, plays: false });
  await page.click('#seat');
  await page.waitForFunction(() => window.arena.ship !== null);
  assert.deepEqual(await seen(), { label: 'Watch', panel: false, plays: true });
  await page.click('#menu');
  await page.click('#seat');
  await page.waitForFunction(() => window.arena.ship === null);
  assert.deepEqual(await seen(), { label: 'Play', panel: false, plays: false });
});

test('a page shows only what it knows of its ship', async () => {
  const page = await play('Hal');
  await page.click('#cut');
  await page.waitForFunction(() => /^Connection cut\. Back in \d s\.$/.test(document.querySelector('#notice').textContent));
  await page.waitForFunction(() => document.querySelector('#notice').textContent.startsWith('Back in the same ship.'));
});

const seat = (page) => page.evaluate(() => ({ ship: window.arena.ship, plays: document.querySelector('#seat').textContent === 'Watch' }));

test('two tabs of a player are one entry, and the one in which the player presses Play has the ship', async () => {
  const first = await play('Ivo');
  // Visitors of earlier tests may still be watching in the first arena.
  const crowded = await first.evaluate(() => window.arena.room.id);
  await first.click('#menu');
  await first.click('text=New arena');
  await first.waitForFunction((crowded) => window.arena.room && window.arena.room.id !== crowded && window.arena.ship !== null, crowded);
  const [{ ship }, room] = [await seat(first), await first.evaluate(() => window.arena.room.id)];
  const second = await browser.open(`${game.url}/?arena=${room}`, { beside: first });
  await second.waitForFunction(() => window.arena?.state() != null && document.querySelector('.tagline').textContent.startsWith('You play in another tab.'));
  assert.deepEqual(await seat(second), { ship: null, plays: false });
  assert.equal(await second.inputValue('#name'), 'Ivo');
  await second.click('#play');
  await second.waitForFunction((ship) => window.arena.ship === ship, ship);
  await first.waitForFunction(() => window.arena.ship === null && document.querySelector('#notice').textContent.startsWith('You play in another tab.'));
  const named = (page) => page.evaluate(() => ({ watching: window.arena.state().watching, pilots: Object.values(window.arena.state().pilots).filter(({ name }) => name === 'Ivo').length }));
  assert.deepEqual(await named(second), { watching: 0, pilots: 1 });
  // The second tab steers the ship.
  await second.waitForFunction(() => window.arena.state().me?.input > 0);
  await first.click('#seat');
  await second.waitForFunction(() => window.arena.ship === null);
  await first.waitForFunction((ship) => window.arena.ship === ship, ship);
  assert.deepEqual(await seat(first), { ship, plays: true });
});

test('a new name is on the next ship, and another visitor is another player', async () => {
  const page = await play('Jan');
  const other = await play('Jan');
  await page.click('#menu');
  await page.fill('#name', 'Jill');
  await page.click('#play');
  for (const each of [page, other]) {
    await each.waitForFunction(() => {
      const names = Object.values(window.arena.state()?.pilots ?? {}).map(({ name }) => name);
      return names.includes('Jill') && names.filter((name) => name === 'Jan').length === 1;
    });
  }
  await page.waitForFunction(() => window.arena.state().pilots[window.arena.ship]?.name === 'Jill');
});

test('a page whose pass the server does not know signs in again, and plays on as a new player', async () => {
  const page = await play('Kay');
  const player = () => JSON.parse(localStorage.getItem('pass')).player;
  const before = await page.evaluate(player);
  await page.evaluate(() => {
    const pass = JSON.parse(localStorage.getItem('pass'));
    localStorage.setItem('pass', JSON.stringify({ ...pass, token: 'of a server that was restarted' }));
    window.left = new Promise((resolve) => window.arena.client.on('lost', resolve));
    window.arena.client.cut(0);
  });
  await page.evaluate(() => window.left);
  await page.waitForFunction(() => window.arena.ship != null && window.arena.state() != null);
  assert.notEqual(await page.evaluate(player), before);
  await page.waitForFunction(() => window.arena.state().pilots[window.arena.ship]?.name === 'Kay');
});

test('a pass that expires soon is renewed, and one that is gone makes a new player', async () => {
  const page = await play('Lia');
  const pass = () => page.evaluate(() => JSON.parse(localStorage.getItem('pass')));
  const before = [await pass(), await seat(page)];
  await page.evaluate(() => {
    localStorage.setItem('pass', JSON.stringify({ ...JSON.parse(localStorage.getItem('pass')), expires: Date.now() + 1000 }));
    const open = new Promise((resolve) => window.arena.client.on('open', resolve));
    window.arena.client.cut(0);
    return open;
  });
  const { player, expires } = await pass();
  assert.equal(player, before[0].player);
  assert.ok(expires >= before[0].expires);
  assert.deepEqual(await seat(page), before[1]);

  await page.evaluate(() => localStorage.clear());
  await page.click('#menu');
  await page.fill('#name', 'Lou');
  await page.click('#play');
  await page.waitForFunction(() => window.arena.ship !== null && window.arena.state()?.pilots[window.arena.ship]?.name === 'Lou');
  assert.notEqual((await pass()).player, player);
});
