/**
 * The keys that patches in MessagePack refer to by number.
 * The table starts with the list of a whole state and grows by each key that a patch contains as a string. Both ends add
 * keys in the order of the bytes, so after a patch that was not read to its end, it is unusable until the next whole state.
 */
export class KeyTable {
  private readonly keys: string[];

  constructor(keys: readonly string[] = []) {
    this.keys = [...keys];
  }

  /** Throws if the table has no such number: the patch was written with another table. */
  at(index: number): string {
    const key = this.keys[index];
    if (key === undefined) throw new RangeError(`the key table has ${this.keys.length} keys and none at ${index}`);
    return key;
  }

  add(key: string): void {
    this.keys.push(key);
  }
}
