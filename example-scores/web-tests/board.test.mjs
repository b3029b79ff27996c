// Run with `node --test example-scores/web-tests/`.
// The server folds the same publications in Rust; `fixtures/fold.json` tests both against one result.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { apply, emptyBoard, onPitch } from '../assets/board.js';
import { clockOf, scorersOf } from '../assets/minutes.js';

const { publications, midway, end } = JSON.parse(
  readFileSync(new URL('../fixtures/fold.json', import.meta.url), 'utf8'),
);

const fold = (board, list) => {
  for (const publication of list) apply(board, publication);
  return board;
};

test('the page comes to the same board as the server', () => {
  const half = Math.floor(publications.length / 2);
  assert.deepEqual(fold(emptyBoard(), publications.slice(0, half)), midway);
  assert.deepEqual(fold(emptyBoard(), publications), end);
});

test('publications that the board already holds count for nothing, wherever they overlap', () => {
  for (const [from, to] of [[0, publications.length], [3, 40], [midway.offset - 5, publications.length]]) {
    const board = structuredClone(midway);
    fold(board, publications.slice(from, to));
    fold(board, publications);
    assert.deepEqual(board, end);
  }
});

test('a late visitor whose history does not reach back to the start has the board instead', () => {
  const history = publications.slice(-20);
  const board = fold(structuredClone(midway), publications.filter(({ offset }) => offset > midway.offset));
  assert.deepEqual(fold(board, history), end);
});

test('a new run clears the board', () => {
  const again = structuredClone(publications[0]);
  again.offset = end.offset + 1;
  again.data.run = 2;
  const board = fold(structuredClone(end), [again]);
  assert.equal(board.run, 2);
  assert.deepEqual([board.matches, board.finished], [[], null]);
  assert.deepEqual(board.groups[0].rows.map((row) => row.played), [0, 0, 0, 0]);
});

test('an update of a type that this page does not know is skipped', () => {
  const board = structuredClone(midway);
  assert.equal(apply(board, { offset: midway.offset + 1, data: { type: 'var_review', data: {} } }), true);
  assert.deepEqual(board, { ...midway, offset: midway.offset + 1 });
});

test('the clock shows the published minute, and stands still in breaks', () => {
  const shown = (phase, reading) => clockOf({ match: 'final', phase }, { matches: reading ? { final: reading } : {} })[0];
  assert.equal(shown('first_half', { phase: 'first_half', minute: 23, stoppage: 0 }), '23′');
  assert.equal(shown('second_half', { phase: 'second_half', minute: 90, stoppage: 8 }), '90+8′');
  assert.equal(shown('half_time', { phase: 'first_half', minute: 45, stoppage: 2 }), 'HT', 'the whistle was faster');
  assert.equal(shown('second_half', { phase: 'first_half', minute: 45, stoppage: 2 }), '46′');
  assert.equal(shown('extra_time'), '91′');
});

test('goals of one scorer share a line, and own goals stand under the team they count for', () => {
  const final = end.matches.at(-1);
  assert.deepEqual(scorersOf(final, 1), [['Lionel Messi', '23′ pen., 108′'], ['Ángel Di María', '36′']]);
  assert.deepEqual(scorersOf(final, 2), [['Kylian Mbappé', '80′ pen., 81′, 118′ pen.']]);
});

test('a pitch shows its match until the next one takes it', () => {
  assert.equal(onPitch(end, 1).match, '2022-12-18-argentina-france');
  assert.equal(onPitch(end, 0).match, '2022-12-03-argentina-australia');
});
