import { Emitter, type Off } from './events.js';

/** How many messages are queued until there is a first listener. */
export const HELD_MESSAGES = 1000;

/** What an inbox needs of its owner. */
export interface InboxPort {
  /** A message without a listener arrived. */
  unheard(type: string): void;
  /** The queued messages were discarded, because there was no listener for too long. */
  discarded(): void;
  /** The queued messages were delivered. */
  flushed?(): void;
}

interface InboxEvents {
  message: [type: string, data: unknown];
}

/**
 * Typed messages and their listeners.
 * Messages that arrive before the first listener are queued, and delivered in the next microtask after it is registered.
 */
export class Inbox {
  private readonly messages = new Emitter<Record<string, [data: never]>>();
  private readonly events = new Emitter<InboxEvents>();
  /** Messages that arrived before the first listener; undefined once they were delivered. */
  private held: { type: string; data: unknown }[] | undefined = [];
  /** Whether queued messages are about to be delivered. */
  isFlushing = false;

  constructor(private readonly port: InboxPort) {}

  /** Listens to one type. */
  on(type: string, listener: (data: never) => void): Off {
    this.listened();
    return this.messages.on(type, listener);
  }

  /** Listens to all types. */
  onAll(listener: (type: string, data: unknown) => void): Off {
    this.listened();
    return this.events.on('message', listener);
  }

  /** There is a listener of some kind, so messages need not be queued any more. */
  listened(): void {
    if (!this.held || this.isFlushing) return;
    this.isFlushing = true;
    queueMicrotask(() => {
      const held = this.held ?? [];
      this.held = undefined;
      for (const { type, data } of held) this.handOn(type, data);
      this.isFlushing = false;
      this.port.flushed?.();
    });
  }

  receive(type: string, data: unknown): void {
    if (!this.held) {
      this.handOn(type, data);
    } else if (this.held.length < HELD_MESSAGES) {
      this.held.push({ type, data });
    } else {
      this.held = undefined;
      this.port.discarded();
    }
  }

  private handOn(type: string, data: unknown): void {
    const heard = this.messages.emit(type, data as never);
    if (!this.events.emit('message', type, data) && !heard) this.port.unheard(type);
  }
}
