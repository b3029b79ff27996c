import { decode } from '@msgpack/msgpack';
import { FakeSocket, type Network } from './network.js';
import { pack } from './pack.js';
import type { Act, ServerModel } from './server.js';

interface Request {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal;
}

/** A request with actions, as the server received it. */
export interface Posted {
  readonly first: number;
  readonly type: string;
  readonly actions: Act[];
  readonly url: URL;
}

/** Frames to a client that wake who waits for them. */
class Line<T> extends Array<T> {
  wake = (): void => {};

  override push(...frames: T[]): number {
    const length = super.push(...frames);
    this.wake();
    return length;
  }
}

/** One event stream, seen by the server model as a socket. */
class StreamSocket extends FakeSocket {
  override readonly down: FakeSocket['down'] = new Line();

  override vanish(): void {
    super.vanish();
    (this.down as Line<unknown>).wake();
  }
}

/** Event streams and requests between one client and a server model, for a client without WebSocket. */
export class FakeHttp {
  /** Whether the network lets requests through. */
  reachable = true;
  /** How many answers to requests with actions are lost. */
  losesAnswers = 0;
  /** The status and body of the answers to requests for a stream, if they are refused. */
  refusal: { status: number; body: object } | undefined;
  readonly streams: StreamSocket[] = [];
  readonly posted: Posted[] = [];
  /** As `fetch` of the platform. */
  readonly fetch: (url: string, request?: Request) => Promise<unknown>;

  constructor(private readonly server: ServerModel, private readonly network: Network) {
    this.fetch = async (url, request = {}) => {
      if (!this.reachable) throw new TypeError('Failed to fetch');
      const at = new URL(url);
      return at.pathname.endsWith('/events') ? this.stream(at, request) : this.post(at, request);
    };
  }

  get latest(): StreamSocket {
    return this.streams.at(-1) as StreamSocket;
  }

  private stream(url: URL, { signal }: Request): unknown {
    if (this.refusal) return answer(this.refusal.status, this.refusal.body);
    const socket = new StreamSocket(url.href, this.network);
    socket.accepted = true;
    this.streams.push(socket);
    this.server.opened(socket);
    const line = socket.down as Line<FakeSocket['down'][number]>;
    let saidGoodbye = false;
    signal?.addEventListener('abort', () => socket.vanish());
    const read = async (): Promise<{ done: boolean; value?: Uint8Array }> => {
      while (line.length === 0) {
        if (signal?.aborted) throw new DOMException('aborted', 'AbortError');
        if (!socket.alive) throw new TypeError('network error');
        await new Promise<void>((resolve) => (line.wake = resolve));
      }
      const frame = line.shift() as FakeSocket['down'][number];
      if (typeof frame === 'object' && 'close' in frame) {
        if (saidGoodbye) return { done: true };
        line.push(frame);
        saidGoodbye = true;
        return message(JSON.stringify({ event: 'goodbye', code: frame.close, reason: '' }));
      }
      if (typeof frame === 'string' && frame.startsWith('{"event":"goodbye"')) saidGoodbye = true;
      return message(typeof frame === 'string' ? frame : btoa(String.fromCharCode(...new Uint8Array(frame))));
    };
    return { ok: true, status: 200, headers: new Headers(), body: { getReader: () => ({ read }) } };
  }

  private post(url: URL, { headers = {}, body = '' }: Request): unknown {
    const session = this.server.sessions.find(({ token, socket }) => token === headers['Courtside-Session'] && socket?.alive);
    if (!session?.socket) return answer(409, { code: 'not_connected', message: 'no' });
    const isText = typeof body === 'string';
    const actions = (isText ? JSON.parse(body) : decode(body)) as Act[];
    const first = Number(url.searchParams.get('first'));
    this.posted.push({ first, type: headers['Content-Type'] as string, actions, url });
    let number = first;
    for (const action of actions) {
      const isCounted = action.action !== 'ping';
      if (!isCounted || number === session.actions + 1) {
        this.server.frame(session.socket, isText ? JSON.stringify(action) : (pack(action).slice().buffer as ArrayBuffer));
      }
      if (isCounted) number += 1;
    }
    if (this.losesAnswers > 0) {
      this.losesAnswers -= 1;
      throw new TypeError('Failed to fetch');
    }
    return session.actions + 1 < number ? answer(409, { code: 'gap' }) : answer(200, { received: session.actions });
  }
}

function message(data: string): { done: boolean; value: Uint8Array } {
  return { done: false, value: new TextEncoder().encode(`data: ${data}\n\n`) };
}

function answer(status: number, body: object): unknown {
  return { ok: status === 200, status, headers: new Headers(status === 503 ? { 'Retry-After': '5' } : {}), body: null, json: async () => body };
}
