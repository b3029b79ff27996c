// Writes dist/, which is what the package holds: the bundle as an ES module and for `require`, each with its types and its map.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle, root } from './bundle.mjs';

const dist = join(root, 'dist');
const cjs = join(dist, 'cjs');

export async function writeDist() {
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(cjs, { recursive: true });
  await bundle(join(dist, 'courtside.js'), { forPackage: true });
  await bundle(join(cjs, 'courtside.js'), { format: 'cjs', forPackage: true });
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.types.json'], { cwd: root, stdio: 'inherit' });
  // For TypeScript, a declaration describes an ES module or not by the package.json above it.
  for (const name of readdirSync(dist).filter((name) => name.endsWith('.d.ts'))) cpSync(join(dist, name), join(cjs, name));
  writeFileSync(join(cjs, 'package.json'), '{ "type": "commonjs" }\n');
  // In Node, a program may import the package and also, by way of another package, require it. Both must get one copy.
  writeFileSync(join(dist, 'node.js'), "export * from './cjs/courtside.js';\n");
}
