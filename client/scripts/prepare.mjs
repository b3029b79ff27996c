// npm runs this before it packs the package, and when somebody installs the folder by its path: then the folder is only
// linked, and what the package holds has to be built in it.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
if (!existsSync(join(root, 'node_modules/esbuild'))) {
  // What npm says of the installation that is under way is not meant for this one.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.toLowerCase().startsWith('npm_')));
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: root, env, stdio: 'inherit', shell: process.platform === 'win32' });
}
const { writeDist } = await import('./dist.mjs');
await writeDist();
