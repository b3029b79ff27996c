// Fails if the committed bundle does not match the sources.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle, committed } from './bundle.mjs';

const folder = mkdtempSync(join(tmpdir(), 'courtside-bundle-'));
try {
  const fresh = join(folder, 'courtside.js');
  await bundle(fresh);
  let kept;
  try {
    kept = readFileSync(committed);
  } catch {
    kept = undefined;
  }
  if (!kept?.equals(readFileSync(fresh))) {
    console.error(`framework/assets/courtside.js ${kept ? 'is not what client/src gives now' : 'is missing'}: run "npm ci && npm run build" in client/ and commit the result.`);
    process.exitCode = 1;
  } else {
    console.log('framework/assets/courtside.js is up to date.');
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
