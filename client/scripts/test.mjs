// Compiles the tests in one go and hands them to Node's own runner. Arguments are names of test files: `npm test session`.
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './bundle.mjs';

const wanted = process.argv.slice(2);
const all = readdirSync(join(root, 'test')).filter((name) => name.endsWith('.test.ts'));
const names = wanted.length === 0 ? all : all.filter((name) => wanted.includes(name.replace('.test.ts', '')));
if (names.length === 0) {
  console.error(`No test file is called ${wanted.join(' or ')}. There are: ${all.map((name) => name.replace('.test.ts', '')).join(', ')}.`);
  process.exit(1);
}

const out = join(root, 'build/test');
rmSync(out, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: names.map((name) => join('test', name)),
  outdir: out,
  bundle: true,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: 'inline',
  logLevel: 'warning',
});
const files = names.map((name) => join(out, name.replace('.ts', '.js')));
const { status } = spawnSync(process.execPath, ['--enable-source-maps', '--test', '--test-concurrency=1', ...files], { cwd: root, stdio: 'inherit' });
process.exit(status ?? 1);
