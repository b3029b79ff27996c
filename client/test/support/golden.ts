import { readFileSync } from 'node:fs';

/** A file of `tests/golden`, with cases on which clients and servers in all languages must agree. */
export function golden<T>(name: string): T {
  // The tests are compiled to `client/build/test`.
  return JSON.parse(readFileSync(new URL(`../../../tests/golden/${name}`, import.meta.url), 'utf8')) as T;
}
