// The definition of the bundle, for building it and for checking it.
import { build } from 'esbuild';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const committed = join(root, '../framework/assets/courtside.js');

/**
 * Writes the bundle to `outfile`. The same sources and lock file give the same bytes everywhere.
 * The one that servers serve is a single minified file. A package's bundle has a map beside it and is not minified: Node prints the
 * line that threw an uncaught error, and a minified bundle is one line. A bundler minifies the package with the rest of the page.
 */
export async function bundle(outfile, { format = 'esm', forPackage = false } = {}) {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  await build({
    absWorkingDir: root,
    entryPoints: ['src/index.ts'],
    outfile,
    bundle: true,
    format,
    platform: format === 'cjs' ? 'node' : 'browser',
    target: 'es2022',
    charset: 'utf8',
    minify: !forPackage,
    sourcemap: forPackage,
    legalComments: 'none',
    banner: { js: `/*! courtside-client ${version}, MIT OR Apache-2.0. Generated from client/ by \`npm run build\`: do not edit. */` },
    tsconfigRaw: {},
    logLevel: 'warning',
  });
}
