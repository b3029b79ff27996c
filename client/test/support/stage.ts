import { connect, type Client, type ConnectOptions, type CourtsideError } from '../../src/index.js';
import type { Format } from '../../src/protocol.js';
import type { PageListener } from '../../src/page.js';
import { FakeClock } from './clock.js';
import { Network, type FakeSocket } from './network.js';
import { seeded } from './random.js';
import { ServerModel } from './server.js';

export const FORMATS: readonly Format[] = ['json', 'msgpack'];

/** A client, a server model and the network between them. */
export interface Stage {
  clock: FakeClock;
  server: ServerModel;
  network: Network;
  client: Client;
  /** The client's events: `open`, `open resumed`, `reconnecting`, `lost expired` and so on, in order. */
  story: string[];
  errors: CourtsideError[];
  /** Wakes the client as a browser does on `online`. */
  wake(): void;
  /** Hides and shows the page, as a browser does. */
  page: PageListener;
  socket(): FakeSocket;
}

/** `before` is the stage before a reload of the page: this one uses its server, its network and its clock. */
export function stage(options: ConnectOptions & { url?: string } = {}, before?: Stage): Stage {
  const clock = before?.clock ?? new FakeClock();
  const server = before?.server ?? new ServerModel(clock);
  const network = before?.network ?? new Network(server);
  const { url = 'ws://server.test/ws', ...rest } = options;
  let wake = (): void => {};
  let page: PageListener = { hidden: () => {}, shown: () => {} };
  const client = connect(url, {
    WebSocket: network.WebSocket,
    // Unless a test is about it, there is nothing but WebSockets.
    transport: 'websocket',
    clock,
    random: seeded(1),
    wakeOn: (given) => {
      wake = given;
      return () => (wake = () => {});
    },
    pageOn: (given) => {
      page = given;
      return () => (page = { hidden: () => {}, shown: () => {} });
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
  return { clock, server, network, client, story, errors, wake: () => wake(), page: { hidden: (kept) => page.hidden(kept), shown: () => page.shown() }, socket: () => network.latest };
}

/** Lets settled promises run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Delivers all frames, and lets promises run. */
export async function settle({ network }: Stage): Promise<void> {
  network.settle();
  await turn();
  network.settle();
  await turn();
}

/** Runs the scheduled attempt to reconnect, and delivers all frames. */
export async function reconnect(on: Stage): Promise<void> {
  on.wake();
  await settle(on);
}

/** The outcome of a promise, once it is settled. */
export async function outcome<T>(promise: Promise<T>): Promise<{ value: T } | { error: CourtsideError }> {
  return promise.then((value) => ({ value }), (error: CourtsideError) => ({ error }));
}
