// The scoreboard: a late visitor sees earlier goals, and a disconnected visitor misses nothing and sees no goal twice.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { startAll, startBrowser, startExample } from './support.mjs';

let scores;
let browser;
let stop;

before(async () => {
  const started = await startAll(startExample('example-scores', '--speed', '60'), startBrowser());
  [scores, browser] = started.parts;
  stop = started.stop;
});

afterEach(() => browser?.closePages());

after(() => stop?.());

/** Subscribes beside the page's own code, through the same client, and records each offset. */
const watch = () => {
  window.offsets = [];
  return import('/courtside.js').then(({ connect }) => {
    window.watcher = connect('/ws');
    return window.watcher.subscribe('updates', (_, { offset }) => window.offsets.push(offset)).ready;
  });
};

test('a visitor that was disconnected for three seconds gets each update once and in order', async () => {
  const page = await browser.open(scores.url);
  await page.evaluate(watch);
  await page.waitForFunction(() => window.offsets.length > 2);
  const before = await page.evaluate(() => {
    window.watcher.cut(3000);
    return window.offsets.at(-1);
  });
  await page.waitForFunction((offset) => window.watcher.state === 'open' && window.offsets.at(-1) > offset + 3, before);
  const offsets = await page.evaluate(() => window.offsets);
  const expected = offsets.map((_, n) => offsets[0] + n);
  assert.deepEqual(offsets, expected);
});

test('a late visitor sees earlier goals', async () => {
  const early = await browser.open(scores.url);
  await early.waitForFunction(() => document.querySelectorAll('#ticker li').length > 5);
  const late = await browser.open(scores.url);
  await late.waitForFunction(() => document.querySelectorAll('#ticker li').length > 5);
  // The board and the ticker arrive separately.
  await early.waitForFunction(() => document.querySelector('#name').textContent !== 'Scores');
  await late.waitForFunction((name) => document.querySelector('#name').textContent === name, await early.textContent('#name'));
});

test("the page's own button cuts the connection; the page shows it, reconnects and shows how much it has missed", async () => {
  const page = await browser.open(scores.url);
  await page.waitForSelector('#badge[data-state="open"]');
  let seen = { missed: 0 };
  // Nothing may happen on the pitches in five seconds; in the next five it does.
  while (seen.missed === 0) {
    // Read at once, because the page shows the number only for some seconds.
    const caught = page.evaluate(() => new Promise((resolve) => window.scores.client.on('caughtup', ({ missed }) => resolve({ missed, text: document.querySelector('#badge-text').textContent }))));
    await page.click('#cut');
    await page.waitForSelector('#badge:not([data-state="open"])');
    seen = await caught;
  }
  assert.equal(seen.text, `Live, ${seen.missed} caught up`);
});

test('a visitor who comes back is told what was missed, and nothing else', async () => {
  const stayed = await browser.open(scores.url);
  await stayed.evaluate(() => import('/courtside.js').then(({ connect }) => {
    window.goals = [];
    const take = (update) => update.type === 'goal' && window.goals.push({ time: update.time, text: update.text.replace('Goal! ', '') });
    return connect('/ws').subscribe('updates', take).ready;
  }));
  const left = await browser.open(scores.url);
  await left.waitForFunction(() => document.querySelectorAll('#ticker li').length > 2);
  const since = await left.evaluate(() => window.scores.client.serverTime());
  await left.goto('about:blank');
  await stayed.waitForFunction((time) => window.goals.at(-1)?.time > time, since + 4000);
  await left.goto(scores.url);
  await left.waitForSelector('#away:not([hidden])');
  const told = await left.$$eval('#away li[data-type="goal"] button', (lines) => lines.map((line) => line.textContent));
  const missed = await stayed.evaluate((time) => window.goals.filter((goal) => goal.time > time).map(({ text }) => text), since);
  assert.ok(told.length > 0);
  assert.deepEqual(told.filter((text) => !missed.includes(text)), []);
  await left.click('#away .close');
  await left.waitForSelector('#away', { state: 'hidden' });
});

test('a match that is opened has a picture, in which each goal of the score appears', async () => {
  const page = await browser.open(scores.url);
  let hasGoals = false;
  // A match may end without a goal.
  while (!hasGoals) {
    await page.waitForSelector('.place[data-live]');
    await page.locator('.place[data-live] .cover').first().press('Enter');
    await page.waitForFunction(() => document.querySelector('#match .clock').textContent.startsWith('Full time'));
    hasGoals = await page.evaluate(() => !document.querySelector('#match .score').textContent.startsWith('0–0'));
    if (!hasGoals) await page.keyboard.press('Escape');
  }
  const { score, marks, words } = await page.evaluate(() => ({
    score: document.querySelector('#match .score').textContent,
    marks: document.querySelectorAll('#match .picture .goal').length,
    words: document.querySelector('#match .picture svg').getAttribute('aria-label'),
  }));
  const [first, second] = score.match(/\d+/g).map(Number);
  assert.equal(marks, first + second, score);
  assert.match(words, /^When the goals fell\. .+ \d+/);
});

test('the premium ticker is for holders of a pass: without one, or with one that has expired, it is refused', async () => {
  const page = await browser.open(scores.url);
  const refusal = await page.evaluate(() => import('/courtside.js').then(({ connect }) =>
    connect('/ws').subscribe('premium/chances', () => {}).ready.then(() => 'accepted', ({ code }) => code)));
  assert.equal(refusal, 'no_pass');
  await page.click('#premium button');
  await page.waitForFunction(() => document.querySelectorAll('#premium .chances b').length > 1);
  // The client asks for the next pass by itself.
  await page.waitForFunction(() => document.querySelector('#premium .state').textContent.includes('renewed once'));
  await page.click('#premium button');
  await page.waitForFunction(() => document.querySelector('#premium .state').textContent === 'Your pass has expired.');
  assert.equal(await page.isVisible('#premium .chances'), false);
  assert.equal(await page.getAttribute('#badge', 'data-state'), 'open', 'the scoreboard itself goes on');
});

test('the page of server-sent events shows the same updates', async () => {
  const pages = [await browser.open(`${scores.url}/plain`), await browser.open(`${scores.url}/events`)];
  await pages[1].waitForFunction(() => document.querySelectorAll('li').length > 5);
  const line = await pages[1].textContent('li');
  await pages[0].waitForFunction((line) => [...document.querySelectorAll('li')].some(({ textContent }) => textContent === line), line);
});

test('a match shows how many are watching it', async () => {
  const pages = [await browser.open(scores.url), await browser.open(scores.url)];
  await pages[0].waitForSelector('#ticker li[data-match]');
  const match = await pages[0].getAttribute('#ticker li[data-match]', 'data-match');
  const shows = (page, text) => page.waitForFunction((text) => document.querySelector('#match .watching')?.textContent === text, text);
  for (const page of pages) await page.click(`#ticker li[data-match="${match}"]`);
  for (const page of pages) await shows(page, '2 watching');
  await pages[1].keyboard.press('Escape');
  await shows(pages[0], '1 watching');
});
