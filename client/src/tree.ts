// JSON values as trees: safe access to objects with arbitrary keys.

/** A JSON object: own keys and values only. */
export type Node = Record<string, unknown>;

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value under `key`, or undefined. A plain property access would find `constructor` and `__proto__` in every object. */
export function entry(node: Node, key: string): unknown {
  return Object.hasOwn(node, key) ? node[key] : undefined;
}

/** Sets any key. A plain assignment to `__proto__` would change the prototype and lose the value. */
export function put(node: Node, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(node, key, { value, writable: true, enumerable: true, configurable: true });
  else node[key] = value;
}
