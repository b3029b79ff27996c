import type { TokenStorage } from './options.js';
import type { Kept } from './session.js';

/** What a page leaves to the one that is loaded in its place: written when it goes, and taken out by the next. */
export class Keep {
  private readonly key: string;
  private written: string | null = null;

  /** Each server has a place of its own in the storage. */
  constructor(private readonly storage: TokenStorage, address: string) {
    this.key = `courtside:${address}`;
  }

  /** Takes out what the page before this one has left, so that no other page, such as a duplicated tab, has it too. */
  take(): Kept | undefined {
    try {
      const text = this.storage.getItem(this.key);
      this.storage.removeItem(this.key);
      return parse(text);
    } catch {
      // A browser may forbid the page its storage: then nothing was kept.
      return undefined;
    }
  }

  write(kept: Kept | undefined): void {
    this.written = kept ? JSON.stringify(kept) : null;
    try {
      if (this.written !== null) this.storage.setItem(this.key, this.written);
    } catch {
      // It is full or forbidden: the session is not kept, and ends with its window.
    }
  }

  /** Takes back what this page has written. False where another page took it in between: the session is that one's now. */
  takeBack(): boolean {
    try {
      const text = this.storage.getItem(this.key);
      this.storage.removeItem(this.key);
      return text === this.written;
    } catch {
      return true;
    }
  }
}

function parse(text: string | null): Kept | undefined {
  let kept: unknown;
  try {
    kept = JSON.parse(text ?? 'null');
  } catch {
    return undefined;
  }
  if (typeof kept !== 'object' || kept === null) return undefined;
  const { token, received, attempt, nextId } = kept as Record<keyof Kept, unknown>;
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (typeof token !== 'string' || token === '' || !isCount(received) || !isCount(attempt) || !isCount(nextId)) return undefined;
  return { token, received, attempt, nextId };
}
