/** The merge patch from one value to another, written independently of how it is applied. Null keys count as absent. */
export function difference(a: any, b: any): unknown {
  if (!isPlain(a) || !isPlain(b)) return b;
  const patch: Record<string, unknown> = {};
  for (const key of Object.keys(a)) if (!(key in b)) patch[key] = null;
  for (const key of Object.keys(b)) if (JSON.stringify(a[key]) !== JSON.stringify(b[key])) patch[key] = key in a ? difference(a[key], b[key]) : b[key];
  return patch;
}

/** The same patch with its keys by number where the table has them. The others are added, in the order of writing. */
export function byNumber(patch: unknown, keys: string[]): unknown {
  if (Array.isArray(patch)) return patch.map((each) => byNumber(each, keys));
  if (!isPlain(patch)) return patch;
  return new Map(Object.entries(patch as object).map(([key, value]) => {
    const known = keys.indexOf(key);
    if (known < 0) keys.push(key);
    return [known < 0 ? key : known, byNumber(value, keys)];
  }));
}

function isPlain(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
