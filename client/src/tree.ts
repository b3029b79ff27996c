// Values of JSON's model, treated as trees: how to look into an object whose keys anybody may have chosen.

/** An object of JSON's: keys and values, nothing inherited that counts. */
export type Node = Record<string, unknown>;

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What stands under `key`, or undefined. Plain reading would find `constructor` and `__proto__` in every object. */
export function entry(node: Node, key: string): unknown {
  return Object.hasOwn(node, key) ? node[key] : undefined;
}

/** Puts a value under any key: assigning to `__proto__` would change what the object inherits, and lose the value. */
export function put(node: Node, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(node, key, { value, writable: true, enumerable: true, configurable: true });
  else node[key] = value;
}
