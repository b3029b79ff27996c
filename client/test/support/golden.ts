import { existsSync, readFileSync } from 'node:fs';

/** A file of `tests/golden`, which holds what clients and servers in all languages must agree on; undefined where it is not there. */
export function golden<T>(name: string): T | undefined {
  // The tests are compiled to `client/build/test`.
  const file = new URL(`../../../tests/golden/${name}`, import.meta.url);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T) : undefined;
}
