import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { test } from 'node:test';

// The ground under the browser tests: where the examples are, and that a run ends when something does not start.

const CLIENT = process.cwd();
const SUPPORT = join(CLIENT, 'browser/support.mjs');

function withFolder(run: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'courtside-support-'));
  try {
    run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a suite as the browser tests are run. Says how it ended: a run that hangs is killed, and has no status. */
function runSuite(folder: string, suite: string, target: string): { status: number | null; output: string } {
  const file = join(folder, 'suite.test.mjs');
  writeFileSync(file, `import { after, before, test } from 'node:test';\nimport { startAll, startExample } from ${JSON.stringify(SUPPORT)};\n${suite}`);
  // Not as a part of the run that this test belongs to.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--test', file], { cwd: CLIENT, env: { ...env, CARGO_TARGET_DIR: target }, encoding: 'utf8', timeout: 60_000, killSignal: 'SIGKILL' });
  return { status, output: stdout + stderr };
}

function program(folder: string, name: string, script: string): void {
  const debug = join(folder, 'debug');
  mkdirSync(debug, { recursive: true });
  writeFileSync(join(debug, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(debug, name), 0o755);
}

const SUITE = `
let stop;
before(async () => { stop = (await startAll(startExample('good'), startExample('other'))).stop; });
after(() => stop?.());
test('it runs', () => {});
`;

test('the examples are found in cargo’s target folder, also by a relative path', () => {
  withFolder((folder) => {
    for (const name of ['good', 'other']) program(folder, name, 'echo "listening on http://127.0.0.1:1/"\nexec sleep 600');
    for (const target of [folder, relative(join(CLIENT, '..'), folder)]) {
      const { status, output } = runSuite(folder, SUITE, target);
      assert.equal(status, 0, output);
    }
  });
});

test('if one part does not start, the run ends and the other parts are stopped', () => {
  withFolder((folder) => {
    program(folder, 'good', 'echo "listening on http://127.0.0.1:1/"\nexec sleep 600');
    for (const bad of [undefined, 'exit 3']) {
      if (bad) program(folder, 'other', bad);
      const { status, output } = runSuite(folder, SUITE, folder);
      assert.equal(status, 1, `it failed and did not hang: ${output}`);
      assert.match(output, bad ? /other ended with 3/ : /other is missing: cargo build --bin other/);
    }
  });
});
