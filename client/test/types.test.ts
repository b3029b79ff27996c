import { test } from 'node:test';
import type { Client, Room } from '../src/index';

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

export async function undeclared(client: Client): Promise<void> {
  const room = await client.join('arena');
  room.on('anything', (data) => data.deeply.nested);
  room.send('anything');
  room.send('anything', { x: 1 });
  (await room.call('anything')).whatever;
  room.onState((state) => state.players);
  const top = await client.call<{ name: string }[]>('leaderboard.top', { limit: 10 });
  top[0]?.name.trim();
  client.subscribe<{ goal: number }>('updates', ({ goal }, { offset }) => goal + offset);
}

interface Watcher {
  state: number;
}

export function partly(room: Room<Watcher>): void {
  room.onState((n) => n.toFixed());
  room.on('anything', (data) => data.x);
}

test('the types compile', () => {});
