/**
 * The keys that patches in MessagePack name by number.
 * It starts with what a whole state lists, and grows by each key that a patch spells out. Both ends write it in the order
 * of the bytes, so a patch that was not read, or not to its end, leaves it useless until the next whole state.
 */
export class KeyTable {
  private readonly keys: string[];

  constructor(keys: readonly string[] = []) {
    this.keys = [...keys];
  }

  /** Throws where the table has no such number: it is not the one that the patch was written with. */
  at(index: number): string {
    const key = this.keys[index];
    if (key === undefined) throw new RangeError(`the key table has ${this.keys.length} keys and none at ${index}`);
    return key;
  }

  add(key: string): void {
    this.keys.push(key);
  }
}
