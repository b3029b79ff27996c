import type { TokenStorage } from './options.js';
import type { Kept } from './session.js';

/** What a page stores for the page that is loaded next: written when the page is left, removed when the next one loads. */
export class Keep {
  private readonly key: string;
  private written: string | null = null;

  /** Each server has its own key in the storage. */
  constructor(private readonly storage: TokenStorage, address: string) {
    this.key = `courtside:${address}`;
  }

  /** Reads and removes what the previous page has stored, so that no other page, such as a duplicated tab, has it too. */
  take(): Kept | undefined {
    try {
      const text = this.storage.getItem(this.key);
      this.storage.removeItem(this.key);
      return parse(text);
    } catch {
      // The browser may forbid access to the storage: then nothing was stored.
      return undefined;
    }
  }

  write(kept: Kept | undefined): void {
    this.written = kept ? JSON.stringify(kept) : null;
    try {
      if (this.written !== null) this.storage.setItem(this.key, this.written);
    } catch {
      // The storage is full or forbidden: the session is not kept and ends with its window.
    }
  }

  /** Removes what this page has stored. Returns false if another page has taken it meanwhile and so continues the session. */
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
