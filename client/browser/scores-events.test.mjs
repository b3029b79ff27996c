// The whole tournament over server-sent events, without a browser: each visitor ends with the scores of the file.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { apply, emptyBoard } from '../../example-scores/assets/board.js';
import { startAll, startExample } from './support.mjs';

const FILE = JSON.parse(readFileSync(new URL('../../example-scores/data/famous-finals.json', import.meta.url), 'utf8'));
let scores;
let stop;

before(async () => {
  const started = await startAll(startExample('example-scores', '--speed', '100', '--once'));
  [scores] = started.parts;
  stop = started.stop;
});

after(() => stop?.());

/** The events of one connection, each with its id. */
async function* listen(lastId, signal) {
  const headers = lastId ? { 'Last-Event-ID': lastId } : {};
  const answer = await fetch(`${scores.url}/ws/events?channel=updates`, { headers, signal });
  assert.equal(answer.status, 200);
  let text = '';
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (text + chunk).split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const field = (name) => block.split('\n').find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1).trim();
      if (field('data')) yield { id: field('id'), ...JSON.parse(field('data')) };
    }
  }
}

/** Follows the run to its end, and loses the connection after each of these numbers of updates. */
async function follow(cuts) {
  const board = emptyBoard();
  const offsets = [];
  let lastId;
  while (board.finished === null) {
    const connection = new AbortController();
    for await (const { id, event, offset, data, publications } of listen(lastId, connection.signal)) {
      lastId = id ?? lastId;
      for (const publication of event === 'publication' ? [{ offset, data }] : publications ?? []) {
        offsets.push(publication.offset);
        apply(board, publication);
      }
      if (board.finished || offsets.length >= cuts[0]) break;
    }
    cuts.shift();
    connection.abort();
  }
  return { board, offsets };
}

function check({ board, offsets }) {
  assert.deepEqual(offsets, offsets.map((_, n) => n + 1), 'each update once and in order');
  assert.equal(board.matches.length, FILE.matches.length);
  for (const { date, team1, team2, score } of FILE.matches) {
    const card = board.matches.find((card) => card.date === date && card.teams[0] === team1 && card.teams[1] === team2);
    assert.deepEqual([card.phase, card.score, card.penalties], ['full_time', score.et ?? score.ft, score.p ?? null], card.match);
  }
}

test('an early visitor and one that loses its connection twice end with the scores of the file, and so does a late one', async () => {
  const [early, unlucky] = await Promise.all([follow([]), follow([40, 90])]);
  check(early);
  check(unlucky);
  check(await follow([]));
});
