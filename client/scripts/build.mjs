// Writes the bundle that the server serves, and the package's dist/.
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { bundle, committed } from './bundle.mjs';
import { writeDist } from './dist.mjs';

mkdirSync(dirname(committed), { recursive: true });
await bundle(committed);
await writeDist();
console.log(`framework/assets/courtside.js: ${statSync(committed).size} bytes`);
