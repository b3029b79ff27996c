// The game: private arenas by code, duels by the queue, and what those who run it say to everybody.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { startAll, startBrowser, startExample } from './support.mjs';

const SECRET = 'a-secret-of-the-browser-tests-0123456789';

let game;
let browser;
let stop;

before(async () => {
  const started = await startAll(startExample('example-game', '--round', '5', '--admin-key', SECRET), startBrowser());
  [game, browser] = started.parts;
  stop = started.stop;
});

afterEach(() => browser?.closePages());

after(() => stop?.());

async function open(name, path = '/', options = {}) {
  const page = await browser.open(`${game.url}${path}`, options);
  await page.fill('#name', name);
  await page.waitForFunction(() => window.arena?.state() != null);
  return page;
}

const arena = (page) => page.evaluate(() => window.arena.room?.id ?? null);
const pilots = (page) => page.evaluate(() => Object.values(window.arena.state().pilots).map(({ name }) => name).sort());
const listed = (page) => page.evaluate(() => [...document.querySelectorAll('#rooms button')].map((button) => button.textContent));
const visible = (page, selector) => page.waitForSelector(selector, { state: 'visible' });

/** Goes to a private arena. Returns its code. */
async function openPrivate(page) {
  await page.click('#private');
  await visible(page, '#invitation');
  return page.textContent('#invitation-code');
}

test('friends meet in a private arena by its code, which no list shows', async () => {
  const ann = await open('Ann');
  const public_ = await arena(ann);
  const code = await openPrivate(ann);
  assert.match(code, /^[A-Z]{6}$/);
  assert.equal(await arena(ann), code);
  assert.equal(new URL(ann.url()).search, `?arena=${code}`);
  await ann.click('#play');
  await ann.waitForFunction(() => window.arena.ship !== null);

  const ben = await open('Ben');
  assert.equal(await arena(ben), public_, 'nobody gets there by chance');
  await ben.fill('#code', ` ${code.slice(0, 3).toLowerCase()} ${code.slice(3)}`);
  await ben.click('#visit button');
  await ben.waitForFunction((code) => window.arena.room?.id === code, code);
  await ben.click('#play');
  await ben.waitForFunction(() => window.arena.state()?.me !== undefined);
  for (const page of [ann, ben]) await page.waitForFunction(() => ['Ann', 'Ben'].every((name) => Object.values(window.arena.state().pilots).some((pilot) => pilot.name === name)));

  const cyd = await open('Cyd', `/?arena=${code.toLowerCase()}`);
  assert.equal(await arena(cyd), code, 'the link leads there');
  assert.ok(!(await listed(cyd)).some((label) => label.includes(code.slice(0, 4))), `${await listed(cyd)}`);
});

test('a code that leads nowhere is refused, and the page stays where it is', async () => {
  const ann = await open('Ann');
  const before = await arena(ann);
  for (const [text, refusal] of [['BCDFGH', /There is no arena BCDFGH/], ['what?', /six letters/]]) {
    await ann.fill('#code', text);
    await ann.click('#visit button');
    await ann.waitForFunction((refusal) => new RegExp(refusal).test(document.querySelector('#code-refused').textContent), refusal.source);
  }
  assert.equal(await arena(ann), before);
  const ben = await open('Ben', '/?arena=BCDFGH');
  await ben.waitForFunction(() => document.querySelector('#notice').textContent.startsWith('There is no arena BCDFGH'));
  assert.notEqual(await arena(ben), null, 'another arena takes the player in');
});

test('the list of arenas changes without being asked for', async () => {
  const [ann, ben] = [await open('Ann'), await open('Ben')];
  const first = await arena(ann);
  assert.equal(await arena(ben), first);
  const connections = [];
  ann.on('websocket', () => connections.push('another one'));
  await ben.click('text=New arena');
  const began = await ben.waitForFunction((first) => (window.arena.room && window.arena.room.id !== first ? window.arena.room.id : null), first);
  const label = `Arena ${(await began.jsonValue()).slice(0, 4)}`;
  const shows = (label) => ann.waitForFunction((label) => document.querySelector('#rooms').textContent.includes(label), label);
  await shows(`${label} · 1/12`);
  await ben.click(`text=Arena ${first.slice(0, 4)}`);
  await shows(`${label} · 0/12`);
  assert.deepEqual(connections, []);
});

test('two players find a duel by the queue, a third watches, and the round changes their ratings', async () => {
  const [ann, ben, cyd] = [await open('Ann'), await open('Ben'), await open('Cyd')];
  const before = await arena(ann);
  await ann.click('#duel');
  await visible(ann, '#search');
  assert.match(await ann.textContent('#search-text'), /^Finding a duel · \d+ s$/);
  await ann.click('#cancel');
  await ann.waitForSelector('#search', { state: 'hidden' });
  assert.equal(await arena(ann), before, 'who cancels stays');
  await ann.click('#menu');
  await ann.click('#duel');
  await ben.click('#duel');
  for (const page of [ann, ben]) {
    await page.waitForFunction((before) => window.arena.room && window.arena.room.id !== before && window.arena.ship !== null && window.arena.state() != null, before);
    await page.waitForSelector('#search', { state: 'hidden' });
  }
  const duel = await arena(ann);
  assert.equal(await arena(ben), duel);
  assert.deepEqual(await pilots(ann), ['Ann', 'Ben'], 'and no bots');

  await cyd.click('text=Duel Ann – Ben');
  await cyd.waitForFunction((duel) => window.arena.room?.id === duel && window.arena.state() != null, duel);
  await cyd.click('#play');
  await cyd.waitForFunction(() => document.querySelector('#notice').textContent.startsWith('Two fly already'));
  assert.equal(await cyd.evaluate(() => window.arena.ship), null);
  assert.deepEqual(await pilots(cyd), ['Ann', 'Ben']);
  await ann.waitForFunction(() => window.arena.chatLines().some(({ text }) => /^Ratings: Ann \d+, Ben \d+\.$/.test(text) || /^Ratings: Ben \d+, Ann \d+\.$/.test(text)));
});

test('a player without an opponent gets a bot', async () => {
  const ann = await open('Ann');
  const before = await arena(ann);
  await ann.click('#duel');
  await ann.waitForFunction((before) => window.arena.room && window.arena.room.id !== before && window.arena.ship !== null && window.arena.state() != null, before);
  await ann.waitForFunction(() => Object.values(window.arena.state().pilots).some(({ bot }) => bot));
  assert.equal((await pilots(ann)).length, 2);
});

test('those who run the game send a notice to all arenas by the HTTP API', async () => {
  const [ann, ben] = [await open('Ann'), await open('Ben')];
  await openPrivate(ben);
  const send = (secret, text) => fetch(`${game.url}/api/v1/rooms/broadcast`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
    body: JSON.stringify({ kind: 'arena', type: 'notice', data: { text } }),
  });
  assert.equal((await send(`${SECRET}!`, 'no')).status, 401);
  const answer = await send(SECRET, 'The server restarts in five minutes.');
  assert.equal(answer.status, 200, await answer.clone().text());
  for (const page of [ann, ben]) await page.waitForFunction(() => document.querySelector('#notice').textContent === 'The server restarts in five minutes.');
});
