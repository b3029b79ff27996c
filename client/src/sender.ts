import { Timer } from './clock.js';
import { byteLength, encode, isLongerThan, type Frame } from './codec.js';
import { CourtsideError } from './errors.js';
import { badOption, isSpan, type Settings } from './options.js';
import type { Action, Limits, Ping } from './protocol.js';
import type { Pulse } from './pulse.js';
import type { Requests } from './requests.js';
import type { Session } from './session.js';

/** What this client uses of an `AbortSignal`. */
export interface Signal {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** How long to wait for an answer. */
export interface Patience {
  /** Gives the request up when the signal is aborted: the request rejects with `aborted`, and is not sent if it was not sent yet. */
  signal?: Signal | undefined;
  /** Gives the request up after this many milliseconds: the request rejects with `timeout`. Default: never. */
  timeoutMs?: number | undefined;
}

/** What the sender needs of the client around it. */
export interface SenderPort {
  readonly isOpen: boolean;
  write(frame: Frame): void;
  writePing(frame: Frame): void;
  /** Throws if the client is closed. */
  mustNotBeClosed(): void;
  complain(error: CourtsideError): void;
}

/** Sends actions: encodes them, queues them until they are acknowledged, writes them once there is a connection, and matches their answers. */
export class Sender {
  /** The limits of the last `welcome`. */
  limits: Limits | undefined;

  constructor(
    private readonly settings: Settings,
    private readonly session: Session,
    private readonly requests: Requests,
    private readonly pulse: Pulse,
    private readonly port: SenderPort,
  ) {}

  /** Sends an action; with an `id`, the server answers it. */
  issue(action: Action, id?: number, beyondBounds = false): void {
    this.port.mustNotBeClosed();
    const { action: name, ...fields } = action;
    // The fields by which the server routes the action come before the content.
    const frame = encode({ action: name, id, ...fields } as Action, this.settings.format);
    if (this.limits && isLongerThan(frame, this.limits.message_bytes)) throw tooBig(frame, this.limits.message_bytes);
    if (beyondBounds) this.session.pushAlways(frame, id);
    else this.session.push(frame, id);
    this.flush();
  }

  /** Sends an action and waits for its answer. `issued` receives its `id`, and `late` an answer that arrives after the request was given up. */
  request<R>(action: Action, patience: Patience = {}, { issued, late }: { issued?: (id: number) => void; late?: (answer: R) => void } = {}): Promise<R> {
    return new Promise((resolve, reject) => {
      const { signal, timeoutMs } = checked(patience);
      if (signal?.aborted) throw aborted(signal, false);
      if (this.requests.size >= this.settings.queueActions) {
        throw new CourtsideError('queue_full', `${this.requests.size} requests wait for an answer, which is the limit: wait for some, or raise queueActions.`, { sent: false });
      }
      const id = this.requests.nextId();
      this.issue(action, id);
      issued?.(id);
      if (!signal && timeoutMs === undefined) return this.requests.wait<R>(id, resolve, reject);

      const timer = new Timer(this.settings.clock);
      const settled = (): void => {
        timer.clear();
        signal?.removeEventListener('abort', abort);
      };
      const giveUp = (errorOf: (sent: boolean) => CourtsideError): void => {
        settled();
        const sent = this.session.withdraw((each) => each === id).length === 0;
        this.requests.giveUp(id, sent, late);
        reject(errorOf(sent));
      };
      const abort = (): void => giveUp((sent) => aborted(signal, sent));
      signal?.addEventListener('abort', abort);
      if (timeoutMs !== undefined) timer.set(timeoutMs, () => giveUp((sent) => timedOut(timeoutMs, sent)));
      this.requests.wait<R>(
        id,
        (answer) => {
          settled();
          resolve(answer);
        },
        (error) => {
          settled();
          reject(error);
        },
      );
    });
  }

  /**
   * Sends an action and calls back with the answer synchronously, not in a microtask as a promise does. `beyondBounds` is for
   * the client's own actions, which are bounded elsewhere.
   */
  ask<R>(action: Action, resolve: (answer: R) => void, reject: (error: CourtsideError) => void, beyondBounds = true): number {
    const id = this.requests.nextId();
    this.issue(action, id, beyondBounds);
    this.requests.wait<R>(id, resolve, reject);
    return id;
  }

  /** Withdraws a request that was not written yet and answers it locally. Returns false if it was written or does not exist. */
  answer(id: number, answer: unknown): boolean {
    return this.session.withdraw((each) => each === id).length > 0 && this.requests.resolve(id, answer);
  }

  /** Applies the limits of a `welcome`, and rejects queued messages that are too long for them. */
  welcomed(limits: Limits | undefined): void {
    this.limits = limits;
    if (!limits) return;
    const bytes = limits.message_bytes;
    const refused: CourtsideError[] = [];
    const isTooLong = (_: unknown, frame: Frame): boolean => {
      const is = isLongerThan(frame, bytes);
      if (is) refused.push(tooBig(frame, bytes));
      return is;
    };
    this.session.withdraw(isTooLong).forEach((id, n) => {
      const error = refused[n] as CourtsideError;
      if (!this.requests.reject(id, error)) this.port.complain(error);
    });
  }

  /** Writes what the connection has not carried yet. */
  flush(): void {
    if (!this.port.isOpen) return;
    for (const frame of this.session.unwritten()) this.port.write(frame);
    if (this.session.wantsPing) this.beat();
  }

  beat(waiting?: { resolve: (roundTrip: number) => void; reject: (error: CourtsideError) => void }): void {
    const id = this.requests.nextId();
    const ping: Ping = { action: 'ping', received: this.session.received, id };
    this.pulse.sent(id, waiting);
    this.session.pinged();
    this.port.writePing(encode(ping, this.settings.format));
  }
}

/** Throws `bad_option` if the arguments cannot work. */
export function checked(patience: Patience): Patience {
  const { signal, timeoutMs } = patience;
  if (timeoutMs !== undefined && !isSpan(timeoutMs)) throw badOption('timeoutMs must be a number of milliseconds above 0', timeoutMs);
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') throw badOption('signal must be an AbortSignal', signal);
  return patience;
}

export function timedOut(timeoutMs: number, sent: boolean): CourtsideError {
  return new CourtsideError('timeout', `No answer came within ${timeoutMs} ms.`, { sent });
}

export function aborted(signal: Signal | undefined, sent: boolean): CourtsideError {
  return new CourtsideError('aborted', 'The request was aborted by its signal.', { sent, cause: signal?.reason });
}

function tooBig(frame: Frame, limit: number): CourtsideError {
  return new CourtsideError('too_big', `The message has ${byteLength(frame)} bytes, and this server accepts at most ${limit}: send less at once, or raise the server’s limit.`, { sent: false });
}
