import { test } from 'node:test';
import { connect, type Client, type Room } from '../src/index.js';

// Held by the type checker: what a room declares is what can be said to it.

interface Arena {
  incoming: { chat_line: { from: number; text: string } };
  outgoing: { steer: { dx: number; dy: number }; respawn: undefined };
  replies: { respawn: { x: number } };
  state: { players: Record<string, { x: number }> };
}

export async function declared(client: Client, room: Room<Arena>): Promise<void> {
  const joined: Room<Arena> = await client.join<Arena>('arena', { name: 'ann' });
  joined.on('chat_line', ({ from, text }) => text.repeat(from));
  joined.onState(({ players }, tick) => Object.values(players)[tick]?.x.toFixed());
  room.send('steer', { dx: 1, dy: 0 });
  room.send('respawn');
  (await room.call('respawn')).x.toFixed();
  room.state?.players;
  // @ts-expect-error There is no such message.
  room.on('chat', () => {});
  // @ts-expect-error The content is missing.
  room.send('steer');
  // @ts-expect-error A field is of another type.
  room.send('steer', { dx: 'left', dy: 0 });
  // @ts-expect-error The reply has no such field.
  (await room.call('respawn')).y;
}

interface Race {
  state: {
    ships: Record<string, { x: number; name?: string; trail: { x: number }[] }>;
    byId: Record<number, { hp: number }>;
    round: { n: number } | null;
    phase: { kind: 'wait' } | { kind: 'race'; laps: number };
  };
}

export function places(room: Room<Race>): void {
  room.onChange(['round', 'n'], (now, before) => (now ?? 0) + (before ?? 0));
  room.onChange(['ships', 'a', 'trail', 0, 'x'], (now) => now?.toFixed());
  room.onChange(['ships', 'a', 'name'], (now) => now?.trim());
  room.onChange(['byId', 7, 'hp'], (now) => now?.toFixed());
  room.onChange(['byId', '7', 'hp'], (now) => now?.toFixed());
  room.onChange(['phase', 'laps'], (now) => now?.toFixed());
  room.onChange([], (now) => now?.ships.a?.x);
  room.onEntities(['ships'], { added: (key, ship) => key.repeat(ship.x), changed: (_, ship, before) => ship.x - before.x });
  room.onEntities(['byId'], { removed: (_, { hp }) => hp.toFixed() });
  // @ts-expect-error There is no such place.
  room.onChange(['shipz'], () => {});
  // @ts-expect-error Nor is there one inside of it.
  room.onChange(['ships', 'a', 'y'], () => {});
  // @ts-expect-error A number has no parts.
  room.onChange(['round', 'n', 'x'], () => {});
  // @ts-expect-error It may not be there.
  room.onChange(['round', 'n'], (now) => now.toFixed());
  // @ts-expect-error An array is no map.
  room.onEntities(['ships', 'a', 'trail'], { added: (_, point) => point.x });
  // @ts-expect-error There is no such place.
  room.onEntities(['round', 'm'], {});
}

export async function undeclared(client: Client): Promise<void> {
  const room = await client.join('arena');
  room.on('anything', (data) => data.deeply.nested);
  room.send('anything');
  room.send('anything', { x: 1 });
  (await room.call('anything')).whatever;
  room.onState((state) => state.players);
  room.onChange(['any', 7, 'place'], (now, before) => now.x - before.x);
  room.onEntities(['players'], { added: (key, player) => player[key].x });
  const top = await client.call<{ name: string }[]>('leaderboard.top', { limit: 10 });
  top[0]?.name.trim();
  client.subscribe<{ goal: number }>('updates', ({ goal }, { offset }) => goal + offset);
}

interface Published {
  updates: { goal: number };
  [match: `match/${string}`]: { minute: number };
}

export async function channels(client: Client<Published>): Promise<void> {
  client.subscribe('updates', ({ goal }, { offset }) => goal + offset, { last: 5, keep: 10 });
  const subscription = client.subscribe('match/7', ({ minute }) => minute.toFixed(), { delta: true, from: new Date() });
  (await subscription.history({ before: 7 })).publications[0]?.data.minute.toFixed();
  (await client.history('updates', { limit: 3 })).publications[0]?.data.goal.toFixed();
  connect<Published>('/ws').subscribe('updates', ({ goal }) => goal);
  // @ts-expect-error There is no such channel.
  client.subscribe('update', () => {});
  // @ts-expect-error Its publications have no such field.
  client.subscribe('updates', ({ minute }) => minute);
  // @ts-expect-error Nor has a page of them.
  (await client.history('updates')).publications[0]?.data.minute;
}

interface Watcher {
  state: number;
}

export function partly(room: Room<Watcher>): void {
  room.onState((n) => n.toFixed());
  room.on('anything', (data) => data.x);
}

test('the types compile', () => {});
