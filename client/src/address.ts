import { CourtsideError } from './errors.js';
import type { Address } from './options.js';

/** Turns the given address into an absolute `ws:` or `wss:` URL. A relative one is resolved against the page: `/ws` on this host. */
export function resolveAddress(url: Address): URL {
  const page = typeof location === 'undefined' ? undefined : location.href;
  let address: URL;
  try {
    address = new URL(typeof url === 'string' ? url : url.href, page);
  } catch (cause) {
    const hint = page ? 'give a path such as "/ws" or an address such as "wss://example.org/ws".' : 'outside a browser, give an absolute address such as "ws://localhost:4000/ws".';
    throw new CourtsideError('bad_url', `connect() cannot use the URL "${url}": ${hint}`, { cause });
  }
  if (address.protocol === 'http:') address.protocol = 'ws:';
  if (address.protocol === 'https:') address.protocol = 'wss:';
  if (address.protocol !== 'ws:' && address.protocol !== 'wss:') {
    throw new CourtsideError('bad_url', `connect() cannot use the URL "${url}": use ws:, wss:, http: or https:.`);
  }
  address.hash = ''; // The WebSocket class rejects a fragment.
  return address;
}

/** The address of one attempt. Query parameters that the page has set are kept. */
export function withQuery(address: URL, query: Record<string, string | undefined>): string {
  const result = new URL(address);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) result.searchParams.set(name, value);
  }
  return result.href;
}
