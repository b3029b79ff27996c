// `npm run dist`: installs what the build needs, if that is missing, and writes dist/. npm runs it before it packs the package.
// A project that installs this folder by its path runs it itself: npm only links the folder then, and warns about packages that
// run scripts when they are installed.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
if (!existsSync(join(root, 'node_modules/esbuild'))) {
  // The settings that npm passes to the script that it runs are not meant for this installation.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.toLowerCase().startsWith('npm_')));
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: root, env, stdio: 'inherit', shell: process.platform === 'win32' });
}
const { writeDist } = await import('./dist.mjs');
await writeDist();
