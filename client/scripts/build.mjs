// Writes the bundle that the server hands out, the same one for npm, and the types.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundle, committed, root } from './bundle.mjs';

const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
mkdirSync(dirname(committed), { recursive: true });
await bundle(committed);
copyFileSync(committed, join(dist, 'courtside.js'));
execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.types.json'], { cwd: root, stdio: 'inherit' });
console.log(`framework/assets/courtside.js: ${statSync(committed).size} bytes`);
