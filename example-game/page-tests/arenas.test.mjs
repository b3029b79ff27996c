// Run with `node --test example-game/page-tests/`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const source = readFileSync(new URL('../page/arenas.js', import.meta.url), 'utf8');
const { arenaIn, isCode, linkTo, listed, refusalText, searchText, typed } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

test('an address names an arena, and nothing else', () => {
  assert.equal(arenaIn('?arena=KWXFRT'), 'KWXFRT');
  assert.equal(arenaIn('?arena=kwxfrt'), 'KWXFRT', 'typed by hand');
  assert.equal(arenaIn('?x=1&arena=wd590kk54pkp'), 'wd590kk54pkp');
  for (const query of ['', '?arena=', '?arena=a/b', '?arena=%3Cb%3E', `?arena=${'x'.repeat(65)}`]) assert.equal(arenaIn(query), null, query);
  const link = linkTo('https://arena.example', 'KWXFRT');
  assert.equal(arenaIn(new URL(link).search), 'KWXFRT');
});

test('a code is taken however it is typed, and so is a link', () => {
  for (const text of ['KWXFRT', ' kwx frt ', 'kwx-frt', 'https://arena.example/?arena=KWXFRT', 'arena.example/?arena=kwxfrt ']) assert.equal(typed(text), 'KWXFRT', text);
  assert.equal(typed('wd590kk54pkp'), 'wd590kk54pkp');
  for (const text of ['', '  ', 'no/code', 'https://arena.example/']) assert.equal(typed(text), null, text);
  assert.ok(isCode('KWXFRT') && !isCode('wd590kk54pkp') && !isCode('kwxfrt'));
});

test('the list shows arenas and duels, and where the page can go', () => {
  const room = (id, members, metadata) => ({ room: id, kind: 'arena', members, capacity: 12, locked: false, metadata });
  const rooms = [room('wd590kk54pkp', 3, { round: 1, duel: false }), room('a6kzrxtqettb', 12, { duel: false }), room('c1vv0fhn6mzs', 2, { duel: true, pilots: ['Ben', 'Ann'] }), room('KWXFRT', 1, null)];
  assert.deepEqual(listed(rooms, 'wd590kk54pkp').map(({ label, isHere, isOpen }) => [label, isHere, isOpen]), [
    ['Here · 3/12', true, false],
    ['Arena a6kz · 12/12', false, false],
    ['Duel Ann – Ben · 2/12', false, true],
    ['Arena KWXF · 1/12', false, true],
  ]);
});

test('a search says how long it lasts, and a refusal what is wrong', () => {
  assert.equal(searchText(999), 'Finding a duel · 0 s');
  assert.equal(searchText(13_400), 'Finding a duel · 13 s');
  assert.equal(refusalText('KWXFRT', { code: 'unknown_room', message: '' }), 'There is no arena KWXFRT, or not any more.');
  assert.equal(refusalText('KWXFRT', { code: 'too_fast', message: 'Wait.' }), 'Wait.');
});
