import { connect, type Client, type ConnectOptions, type CourtsideError } from '../../src/index';
import type { Format } from '../../src/protocol';
import { FakeClock } from './clock';
import { Network, type FakeSocket } from './network';
import { seeded } from './random';
import { ServerModel } from './server';

export const FORMATS: readonly Format[] = ['json', 'msgpack'];

/** A client, a server model and the network between them. */
export interface Stage {
  clock: FakeClock;
  server: ServerModel;
  network: Network;
  client: Client;
  /** What the client said: `open`, `open resumed`, `reconnecting`, `lost expired` and so on, in order. */
  story: string[];
  errors: CourtsideError[];
  /** Wakes the client as a browser does on `online`. */
  wake(): void;
  socket(): FakeSocket;
}

export function stage(options: ConnectOptions & { url?: string } = {}): Stage {
  const clock = new FakeClock();
  const server = new ServerModel(clock);
  const network = new Network(server);
  const { url = 'ws://server.test/ws', ...rest } = options;
  let wake = (): void => {};
  const client = connect(url, {
    WebSocket: network.WebSocket,
    clock,
    random: seeded(1),
    wakeOn: (given) => {
      wake = given;
      return () => (wake = () => {});
    },
    ...rest,
  });
  const story: string[] = [];
  const errors: CourtsideError[] = [];
  client.on('state', (state) => state !== 'open' && story.push(state));
  client.on('open', ({ resumed }) => story.push(resumed ? 'open resumed' : 'open'));
  client.on('lost', ({ reason }) => story.push(`lost ${reason}`));
  client.on('closed', (error) => story.push(`closed by ${error?.code ?? 'the page'}`));
  client.on('retry', () => {});
  client.on('error', (error) => errors.push(error));
  return { clock, server, network, client, story, errors, wake: () => wake(), socket: () => network.latest };
}

/** Lets promises run that are settled already. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Carries everything that moves, and lets promises run. */
export async function settle({ network }: Stage): Promise<void> {
  network.settle();
  await turn();
  network.settle();
  await turn();
}

/** Lets the planned attempt to reconnect happen, and carries everything that moves. */
export async function reconnect(on: Stage): Promise<void> {
  on.wake();
  await settle(on);
}

/** What a promise came to, once it is settled. */
export async function outcome<T>(promise: Promise<T>): Promise<{ value: T } | { error: CourtsideError }> {
  return promise.then((value) => ({ value }), (error: CourtsideError) => ({ error }));
}
