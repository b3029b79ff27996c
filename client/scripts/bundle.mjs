// The one description of the bundle, for building it and for checking it.
import { build } from 'esbuild';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const committed = join(root, '../framework/assets/courtside.js');

function banner() {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const packed = dirname(createRequire(import.meta.url).resolve('@msgpack/msgpack/package.json'));
  const licence = readFileSync(join(packed, 'LICENSE'), 'utf8').trim().replaceAll(/^/gm, ' * ').replaceAll(/ +$/gm, '');
  return `/*! courtside-client ${version}, MIT OR Apache-2.0. Generated from client/ by \`npm run build\`: do not edit.
 *
 * Contains @msgpack/msgpack, ISC licence:
 *
${licence}
 */`;
}

/** Writes the bundle to `outfile`. The same sources and lock file give the same bytes everywhere. */
export async function bundle(outfile) {
  await build({
    absWorkingDir: root,
    entryPoints: ['src/index.ts'],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    charset: 'utf8',
    minify: true,
    sourcemap: false,
    legalComments: 'none',
    banner: { js: banner() },
    tsconfigRaw: {},
  });
}
