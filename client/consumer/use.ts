// An application's use of the package. scripts/check-package.mjs compiles it in each module resolution and with several versions
// of TypeScript, and does not run it.
import WebSocketOfWs from 'ws';
import { CLOSE_CODES, connect, CourtsideError, Interpolation, lerp, lerpEach, Prediction, TickClock } from 'courtside-client';
import type { Client, ConnectOptions, Content, HistoryPage, Room, Subscription } from 'courtside-client';

interface Arena {
  incoming: { chat_line: { from: number; text: string } };
  outgoing: { steer: { dx: number; dy: number }; respawn: undefined };
  replies: { respawn: { x: number } };
  state: { players: Record<string, { x: number; name?: string }>; round: number };
}

class Watched extends WebSocket {
  override close(code?: number, reason?: string): void {
    super.close(code, reason);
  }
}

export const options: ConnectOptions[] = [
  { WebSocket: WebSocketOfWs, format: 'msgpack' },
  { WebSocket: globalThis.WebSocket },
  { WebSocket: WebSocket },
  { WebSocket: Watched },
  { storage: sessionStorage, accessToken: () => undefined },
  { accessToken: async () => 'secret' },
  { accessToken: undefined, WebSocket: undefined },
];

export async function use(): Promise<void> {
  const client: Client = connect('ws://localhost:1/ws', { WebSocket: WebSocketOfWs });
  const stop = new AbortController();
  const room: Room<Arena> = await client.join<Arena>('arena', { name: 'Ann' }, { signal: stop.signal, timeoutMs: 5000, rejoin: true });
  room.on('chat_line', ({ from, text }) => text.repeat(from));
  room.onMessage((type, data) => type.length + data.from);
  room.onState(({ players }, tick) => Object.values(players)[tick]?.x.toFixed());
  room.onChange(['players', 'a', 'x'], (now, before) => (now ?? 0) - (before ?? 0));
  // @ts-expect-error There is no such path.
  room.onChange(['seats'], () => {});
  room.onEntities(['players'], { added: (key, { x }) => key.repeat(x), changed: (_, now, before) => now.x - before.x });
  room.onRejoined(({ previous }) => previous.id);
  room.send('respawn');
  room.send('steer', { dx: 1, dy: 0 });
  // @ts-expect-error The content is missing.
  room.send('steer');
  (await room.call('respawn', undefined, { timeoutMs: 100 })).x.toFixed();
  const subscription: Subscription = client.subscribe<{ goal: number }>('updates', ({ goal }, { offset }) => goal + offset);
  await subscription.ready;
  interface Channels {
    updates: { goal: number };
    [match: `match/${string}`]: { minute: number };
  }
  const declared: Client<Channels> = connect<Channels>('/ws');
  const match = declared.subscribe('match/7', ({ minute }) => minute.toFixed(), { last: 5, from: new Date(), delta: true, keep: 10 });
  const page: HistoryPage<{ minute: number }> = await match.history({ before: 7, limit: 5 });
  page.publications[0]?.data.minute.toFixed();
  (await declared.history('updates', { since: page })).publications[0]?.data.goal.toFixed();
  // @ts-expect-error There is no such channel.
  declared.subscribe('update', () => {});
  client.on('restored', ({ rooms, channels }) => rooms.length + channels.length);
  client.on('caughtup', ({ missed }) => missed.toFixed());
  client.on('unauthorized', ({ code }) => code.trim());
  client.on('lost', ({ rooms }) => rooms.join());
  client.limits?.message_bytes.toFixed();
  const content: Content<undefined> = [];
  const ticks = new TickClock({ tickMs: 50 });
  const ships = new Interpolation(lerpEach<{ x: number }>((from, to, part) => ({ x: lerp(from.x, to.x, part) })), { delayMs: ticks.at(0) ?? 100 });
  const mine = new Prediction<{ x: number }, { dx: number }>({ x: 0 }, { step: ({ x }, { dx }) => ({ x: x + dx }) });
  ships.push(0, { a: mine.shown(0) });
  if (new CourtsideError('x', 'y') instanceof Error) CLOSE_CODES[content.length]?.meaning.trim();
}
