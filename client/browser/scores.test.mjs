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
