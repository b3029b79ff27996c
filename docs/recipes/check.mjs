// Tries the recipes that need more than `./test` installs: writes the files that a recipe shows into a project of its own,
// and builds or tests it there. Usage: node docs/recipes/check.mjs [name …]
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const repository = dirname(dirname(here));

/** The files of a recipe: a paragraph that begins with a file's name and ends with a colon, and the code behind it. */
export function filesOf(recipe) {
  const text = readFileSync(join(here, `${recipe}.md`), 'utf8');
  const files = [...text.matchAll(/^`([\w./-]+)`[^\n]*:\n\n```[\w,]*\n(.*?)^```$/gms)];
  return files.map(([, name, code]) => ({ name, code: code.replaceAll('../courtside/', `${repository}/`) }));
}

export function write(recipe, project) {
  const files = filesOf(recipe);
  if (recipe === 'saving') files.push(withTables(filesOf('database').find(({ name }) => name === 'src/database.rs')));
  for (const { name, code } of files) {
    mkdirSync(dirname(join(project, name)), { recursive: true });
    writeFileSync(join(project, name), code);
  }
}

/** The database of another recipe, with the tables of this one. */
function withTables({ name, code }) {
  const [, tables] = readFileSync(join(here, 'saving.md'), 'utf8').match(/^```sql\n(.*?)^```$/ms);
  return { name, code: code.replace('    CREATE', `    ${tables}    CREATE`) };
}

const cargo = (...args) => ['cargo', ...args, '--quiet', '--target-dir', join(repository, 'target')];

const RECIPES = {
  cookies: [cargo('build')],
  database: [cargo('test')],
  saving: [cargo('test')],
  proxies: [cargo('build')],
  react: [
    ['npm', 'init', '-y'],
    ['npm', 'pkg', 'set', 'type=module'],
    ['npm', 'pack', join(repository, 'client')],
    ['npm', 'install', './courtside-client-0.1.0.tgz', 'react', 'react-dom'],
    ['npm', 'install', '-D', 'typescript', 'vite', '@vitejs/plugin-react', '@types/react', '@types/react-dom'],
    ['npx', 'tsc'],
    ['npx', 'vite', 'build'],
  ],
  'http-route': [cargo('build')],
  'live-lobby': [cargo('build')],
  tournaments: [cargo('build')],
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wanted = process.argv.slice(2);
  for (const recipe of wanted.length > 0 ? wanted : Object.keys(RECIPES)) {
    const project = mkdtempSync(join(tmpdir(), `courtside-${recipe}-`));
    write(recipe, project);
    for (const [command, ...args] of RECIPES[recipe]) {
      console.log(`${recipe}: ${[command, ...args].join(' ')}`);
      execFileSync(command, args, { cwd: project, stdio: 'inherit' });
    }
    rmSync(project, { recursive: true });
  }
}
