// Packs the package, installs it into an empty project and uses it there: by each module resolution of TypeScript, as an ES
// module and by `require`, over a real WebSocket, and by the folder's path. What a project has beside the package comes from
// the lock file of consumer/.
import { execFile, execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { write } from '../../docs/recipes/check.mjs';
import { root } from './bundle.mjs';

const run = promisify(execFile);
const consumer = join(root, 'consumer');
const has = (name) => join(consumer, 'node_modules', name);

/** Compilers, from the oldest that is promised to the newest, with resolutions that they know; 6.0 is the last that knows node10. */
const COMPILERS = [
  { version: '5.4', tsc: has('typescript-5.4/bin/tsc'), resolutions: ['node10', 'node16', 'nodenext', 'bundler'] },
  { version: '6.0', tsc: has('typescript-6.0/bin/tsc'), resolutions: ['node10', 'nodenext'], extra: { ignoreDeprecations: '6.0' } },
  { version: 'newest', tsc: join(root, 'node_modules/typescript/bin/tsc'), resolutions: ['node16', 'nodenext', 'bundler'] },
];

/** How the sources are seen by each resolution. */
const MODULES = {
  node10: { module: 'commonjs', files: ['use.ts'] },
  node16: { module: 'node16', files: ['use.mts', 'use.cts'] },
  nodenext: { module: 'nodenext', files: ['use.mts', 'use.cts'] },
  bundler: { module: 'esnext', files: ['use.ts'] },
};

const LONGEST_LINE = 400;

// Every declaration is checked but the compiler's own of the language and the DOM, which take most of the time.
const STRICT = { target: 'es2022', strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noImplicitOverride: true, skipLibCheck: false, skipDefaultLibCheck: true, noEmit: true, esModuleInterop: true };

const folder = mkdtempSync(join(tmpdir(), 'courtside-package-'));
try {
  if (!existsSync(has('.package-lock.json'))) npm(consumer, 'ci', '--ignore-scripts');
  const project = join(folder, 'project');
  install(project, pack());
  for (const name of ['ws', '@types/ws', '@types/node', 'undici-types', '@types/react', '@types/react-dom', 'csstype']) link(project, name);
  checkFiles(join(project, 'node_modules/courtside-client'));
  await Promise.all([checkTypes(project), checkRuns(project)]);
  await checkPath(join(folder, 'by-path'));
  console.log('The packed package works: types in each module resolution, as an ES module, by require, and by its path.');
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function npm(cwd, ...args) {
  // What npm says of the script that this is part of is not meant for another project.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.toLowerCase().startsWith('npm_')));
  return execFileSync('npm', [...args, '--no-audit', '--no-fund', '--loglevel=error'], { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function pack() {
  // The first line may be what a script of the package says.
  return join(folder, npm(root, 'pack', '--pack-destination', folder).trim().split('\n').at(-1));
}

function install(project, tarball) {
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "private": true }\n');
  npm(project, 'install', '--offline', tarball);
}

function link(project, name) {
  const place = join(project, 'node_modules', name);
  mkdirSync(dirname(place), { recursive: true });
  symlinkSync(has(name), place);
}

function checkFiles(installed) {
  const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
  if (dependencies) throw new Error('the package has all in its bundle, and yet it depends on another');
  for (const name of ['courtside.js', 'courtside.js.map', 'node.js', 'cjs/courtside.js', 'cjs/courtside.js.map', 'index.d.ts', 'cjs/index.d.ts']) {
    if (!existsSync(join(installed, 'dist', name))) throw new Error(`dist/${name} is not in the package`);
  }
  for (const name of ['courtside.js', 'cjs/courtside.js']) {
    const longest = Math.max(...readFileSync(join(installed, 'dist', name), 'utf8').split('\n').map((line) => line.length));
    if (longest > LONGEST_LINE) throw new Error(`dist/${name} has a line of ${longest} characters, which Node prints for an error that is thrown there`);
    const map = `${name}.map`.split('/').at(-1);
    if (!readFileSync(join(installed, 'dist', name), 'utf8').includes(`//# sourceMappingURL=${map}`)) throw new Error(`dist/${name} does not name its map`);
    const { sourcesContent } = JSON.parse(readFileSync(join(installed, 'dist', `${name}.map`), 'utf8'));
    if (!sourcesContent?.every((source) => source?.length > 0)) throw new Error(`the map of dist/${name} lacks sources`);
  }
}

async function checkTypes(project) {
  for (const suffix of ['ts', 'mts', 'cts']) copyFileSync(join(consumer, 'use.ts'), join(project, `use.${suffix}`));
  copyFileSync(join(consumer, 'bare.ts'), join(project, 'bare.ts'));
  const runs = COMPILERS.flatMap(({ version, tsc, resolutions, extra }) => [
    ...resolutions.map((resolution) => {
      const { module, files } = MODULES[resolution];
      const options = { ...STRICT, ...extra, module, moduleResolution: resolution, lib: ['es2022', 'dom', 'dom.iterable'], types: ['node'] };
      return { name: `${version}-${resolution}`, tsc, options, files };
    }),
    { name: `${version}-bare`, tsc, options: { ...STRICT, ...extra, module: 'esnext', moduleResolution: 'bundler', lib: ['es2022'], types: [] }, files: ['bare.ts'] },
  ]);
  runs.push(react(project));
  const failures = [];
  const next = async () => {
    for (let each = runs.shift(); each; each = runs.shift()) {
      const config = join(project, `tsconfig.${each.name}.json`);
      writeFileSync(config, JSON.stringify({ compilerOptions: each.options, files: each.files }));
      try {
        await run(process.execPath, [each.tsc, '-p', config], { cwd: project });
      } catch (failed) {
        failures.push(`TypeScript ${each.name}:\n${failed.stdout}${failed.stderr}`.slice(0, 1500));
      }
    }
  };
  await Promise.all([next(), next()]);
  if (failures.length > 0) throw new Error(failures.join('\n'));
}

/** The recipe for React, compiled as its own tsconfig.json says. */
function react(project) {
  const folder = join(project, 'react');
  write('react', folder);
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
  const { compilerOptions } = JSON.parse(readFileSync(join(folder, 'tsconfig.json'), 'utf8'));
  const { tsc } = COMPILERS.find(({ version }) => version === 'newest');
  return { name: 'react', tsc, options: { ...compilerOptions, types: [] }, files: ['react/src/main.tsx'] };
}

async function checkRuns(project) {
  copyFileSync(join(consumer, 'talk.cjs'), join(project, 'talk.cjs'));
  writeFileSync(join(project, 'run.mjs'), `import { connect, CourtsideError } from 'courtside-client';\nimport WebSocket from 'ws';\nimport talk from './talk.cjs';\nimport { createRequire } from 'node:module';\nif (createRequire(import.meta.url)('courtside-client').connect !== connect) throw new Error('Node has two copies of the package');\nif (new CourtsideError('a', 'b').code !== 'a') throw new Error();\nawait talk(connect, WebSocket);\nif (globalThis.WebSocket) await talk(connect, globalThis.WebSocket);\n`);
  writeFileSync(join(project, 'run.cjs'), `const { connect } = require('courtside-client');\nrequire('./talk.cjs')(connect, require('ws')).catch((error) => { console.error(error); process.exit(1); });\n`);
  writeFileSync(join(project, 'names.cjs'), "for (const [name, value] of Object.entries(require('courtside-client'))) if (typeof value === 'function' && value.name !== name) throw new Error(`${name} is called ${value.name}`);\n");
  for (const file of ['run.mjs', 'run.cjs', 'names.cjs']) await run(process.execPath, [file], { cwd: project, timeout: 60_000 });
  await checkUncaught(project);
}

/** What Node prints for an uncaught error of the client fits on a screen, with and without the source map. */
async function checkUncaught(project) {
  writeFileSync(join(project, 'uncaught.mjs'), "import { connect } from 'courtside-client';\nconnect('nowhere');\n");
  writeFileSync(join(project, 'uncaught.cjs'), "require('courtside-client').connect('nowhere');\n");
  for (const args of [['uncaught.mjs'], ['uncaught.cjs'], ['--enable-source-maps', 'uncaught.cjs']]) {
    const printed = await run(process.execPath, args, { cwd: project }).then(() => '', (failed) => failed.stderr);
    if (!printed.includes('bad_url')) throw new Error(`node ${args.join(' ')} does not print the error: ${printed.slice(0, 1500)}`);
    if (printed.length > 4000) throw new Error(`node ${args.join(' ')} prints ${printed.length} characters for an uncaught error`);
  }
}

/** Installed by its path, the folder is only linked, so it must have been built; packing it has done so. */
async function checkPath(project) {
  install(project, root);
  writeFileSync(join(project, 'run.mjs'), "import { connect } from 'courtside-client';\nif (typeof connect !== 'function') throw new Error();\n");
  await run(process.execPath, ['run.mjs'], { cwd: project });
}
