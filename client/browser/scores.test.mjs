// The scoreboard: a late visitor sees earlier goals, and a disconnected visitor misses nothing and sees no goal twice.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startAll, startBrowser, startExample } from './support.mjs';

let scores;
let browser;
let stop;

before(async () => {
  const started = await startAll(startExample('example-scores', '--speed', '60'), startBrowser());
  [scores, browser] = started.parts;
  stop = started.stop;
});

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
  assert.equal(await late.textContent('#name'), await early.textContent('#name'));
});

test("the page's own button cuts the connection; the page shows it, reconnects and shows how much it has missed", async () => {
  const page = await browser.open(scores.url);
  await page.waitForSelector('#badge[data-state="open"]');
  let missed = 0;
  // Nothing may happen on the pitches in five seconds; in the next five it does.
  while (missed === 0) {
    const caught = page.evaluate(() => new Promise((resolve) => window.scores.client.on('caughtup', ({ missed }) => resolve(missed))));
    await page.click('#cut');
    await page.waitForSelector('#badge:not([data-state="open"])');
    missed = await caught;
  }
  assert.equal(await page.textContent('#badge-text'), `Live, ${missed} caught up`);
});
