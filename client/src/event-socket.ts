import { byteLength, type Frame } from './codec.js';
import { Timer } from './clock.js';
import type { Settings, Socket } from './options.js';
import { CLOSE_DONE, CLOSE_UNAUTHORIZED, type ServerEvent } from './protocol.js';

/** The part of a fetch's answer that this client uses. */
interface Answer {
  readonly ok: boolean;
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: { getReader(): { read(): Promise<{ done: boolean; value?: Uint8Array }> } } | null;
  json(): Promise<unknown>;
}

/** An action that was not accepted yet. A ping has no number. */
interface Unsent {
  readonly frame: Frame;
  readonly isPing: boolean;
  readonly size: number;
}

/** How often a request is tried again after the network has failed. */
const TRIES = 3;
const RETRY_MS = 500;
/** The longest wait that the server may ask for before a request is repeated. */
const LONGEST_RETRY_MS = 10_000;
/** How many bytes of actions go into one request before the server's own limit is known. */
const BATCH_BYTES = 16_384;
const RESUMING = ['resume', 'received', 'attempt', 'restore'];
const ABNORMAL = 1006;
const TRY_LATER = 1013;

/**
 * A connection that looks like a WebSocket and needs none: events arrive as server-sent events, and actions leave by requests,
 * one after the other, each with the number of its first action. So a request that is sent again has no second effect.
 */
export class EventSocket implements Socket {
  binaryType = 'arraybuffer';
  bufferedAmount = 0;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;

  private readonly aborting = new AbortController();
  private readonly timer: Timer;
  private token: string | undefined;
  /** The number of the next action. */
  private next = 1;
  private limit = BATCH_BYTES;
  private unsent: Unsent[] = [];
  private sending: Promise<void> | undefined;
  private end = { code: ABNORMAL, reason: '' };
  private isOver = false;

  /** `url` is that of the WebSocket. */
  constructor(private readonly url: string, private readonly settings: Settings) {
    this.timer = new Timer(settings.clock);
    void this.receive(this.request('events', {}, { cache: 'no-store' }));
  }

  send(frame: Frame, isPing = false): void {
    const size = byteLength(frame);
    this.unsent.push({ frame, isPing, size });
    this.bufferedAmount += size;
    // In a microtask, so that what is written at once leaves in one request.
    this.sending ??= Promise.resolve().then(() => this.sendAll());
  }

  /** Notes what the events of the connection itself say. */
  saw(event: ServerEvent): void {
    if (event.event === 'welcome') {
      this.token = event.resume;
      this.next = event.received + 1;
      this.limit = event.limits?.message_bytes ?? BATCH_BYTES;
    } else if (event.event === 'goodbye') this.end = { code: event.code, reason: event.reason };
  }

  close(code = CLOSE_DONE): void {
    const { token } = this;
    if (code !== CLOSE_DONE || token === undefined) return this.finish(code, '');
    const end = (): Promise<void> => this.receive(this.request('events', { resume: token, end: 'true' }, { cache: 'no-store', keepalive: true }));
    // A page that is left has no time to wait for anything.
    if (this.sending) void this.sending.then(end);
    else void end();
  }

  private request(what: string, query: Record<string, string>, options: object): Promise<Answer> {
    const url = new URL(this.url);
    url.protocol = url.protocol === 'wss:' ? 'https:' : 'http:';
    url.pathname = `${url.pathname.replace(/\/$/, '')}/${what}`;
    // What the first request of the connection was about does not concern the others, and their secrets need no address.
    for (const name of query.end ? RESUMING : query.first ? [...RESUMING, 'access_token'] : []) url.searchParams.delete(name);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return (this.settings.fetch as NonNullable<Settings['fetch']>)(url.href, { signal: this.aborting.signal, ...options }) as Promise<Answer>;
  }

  /** Reads a stream to its end. */
  private async receive(asked: Promise<Answer>): Promise<void> {
    try {
      const answer = await asked;
      if (answer.ok && answer.body) await this.read(answer.body.getReader());
      else await this.refused(answer);
    } catch {
      // The network has failed, or this connection was closed.
    }
    this.finish(this.end.code, this.end.reason);
  }

  private async read(reader: { read(): Promise<{ done: boolean; value?: Uint8Array }> }): Promise<void> {
    const decoder = new TextDecoder();
    let text = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.isOver) return;
      text += decoder.decode(value, { stream: true });
      const messages = text.split('\n\n');
      text = messages.pop() as string;
      for (const message of messages) {
        const data = /^data: (.*)$/m.exec(message)?.[1];
        // MessagePack is in base64.
        if (data) this.onmessage?.({ data: data.startsWith('{') ? data : Uint8Array.from(atob(data), (char) => char.charCodeAt(0)).buffer });
      }
    }
  }

  /** Reports a refusal as a WebSocket's connection does. */
  private async refused(answer: Answer): Promise<void> {
    const { status } = answer;
    if (status !== 401 && status !== 429 && status !== 503) return;
    const { code: error, message: reason } = (await answer.json()) as { code?: string; message?: string };
    const code = status === 401 ? CLOSE_UNAUTHORIZED : TRY_LATER;
    const after_ms = retryAfter(answer);
    const reconnect = status === 401 ? {} : { reconnect: { after_ms, jitter_ms: after_ms } };
    this.onmessage?.({ data: JSON.stringify({ event: 'goodbye', code, reason, error, ...reconnect }) });
  }

  private async sendAll(): Promise<void> {
    while (this.unsent.length > 0 && !this.isOver) {
      const batch = [];
      let bytes = 0;
      for (const unsent of this.unsent) {
        bytes += unsent.size + 1;
        if (batch.length > 0 && bytes > this.limit) break;
        batch.push(unsent);
      }
      // The rest of the session decides what to send again.
      if (!(await this.deliver(batch.map(({ frame }) => frame)))) this.finish(ABNORMAL, '');
      this.unsent = this.unsent.slice(batch.length);
      for (const { isPing, size } of batch) {
        this.bufferedAmount -= size;
        if (!isPing) this.next += 1;
      }
    }
    this.sending = undefined;
  }

  /** Sends a request until the server has accepted its actions. Returns false if that will not happen. */
  private async deliver(frames: Frame[]): Promise<boolean> {
    const isText = typeof frames[0] === 'string';
    const headers = { 'Content-Type': isText ? 'application/json' : 'application/msgpack', 'Courtside-Session': this.token ?? '' };
    const body = isText ? `[${frames.join()}]` : array(frames as Uint8Array[]);
    let tries = 0;
    while (!this.isOver) {
      let wait = RETRY_MS * (tries + 1);
      try {
        const answer = await this.request('actions', { first: String(this.next) }, { method: 'POST', headers, body });
        // Read to its end, so that the browser uses the connection again.
        await answer.json();
        if (answer.ok) return true;
        if (answer.status !== 429 && answer.status !== 503) return false;
        wait = retryAfter(answer);
      } catch {
        if ((tries += 1) > TRIES) return false;
      }
      await new Promise<void>((resolve) => this.timer.set(wait, resolve));
    }
    return false;
  }

  private finish(code: number, reason: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.aborting.abort();
    queueMicrotask(() => this.onclose?.({ code, reason }));
  }
}

function retryAfter({ headers }: Answer): number {
  const seconds = Number(headers.get('Retry-After'));
  return seconds > 0 ? Math.min(seconds * 1000, LONGEST_RETRY_MS) : RETRY_MS;
}

/** A MessagePack array of values that are encoded already. */
function array(items: Uint8Array[]): Uint8Array {
  const count = items.length;
  const all = new Uint8Array(items.reduce((sum, { length }) => sum + length, 5));
  all.set([0xdd, count >>> 24, count >>> 16, count >>> 8, count]);
  let at = 5;
  for (const item of items) {
    all.set(item, at);
    at += item.length;
  }
  return all;
}
