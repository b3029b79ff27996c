// Runs all scenarios in turn, some rounds of them, and writes docs/benchmarks.md. Started by bench/compare.
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';

import { page } from './page.mjs';
import { scenarios } from './scenarios.mjs';
import { GENERATOR_CORE, servers, start } from './servers.mjs';

const { values: options } = parseArgs({
  options: {
    target: { type: 'string', default: 'target' },
    rounds: { type: 'string', default: '5' },
    secs: { type: 'string', default: '2' },
    only: { type: 'string' },
    out: { type: 'string', default: 'docs/benchmarks.md' },
  },
});

const all = servers(options.target);
const load = `${options.target}/release/courtside-load`;
const chosen = scenarios.filter((scenario) => !options.only || scenario.title.toLowerCase().includes(options.only.toLowerCase()));
if (chosen.length === 0) {
  console.error(`bench/compare: no scenario's title contains ${options.only}: ${scenarios.map((s) => s.title).join('; ')}`);
  process.exit(2);
}

/**
 * In which order a round measures. Whoever others are set beside stands between them, and every other round goes backwards:
 * the machine's speed drifts, and a ratio is worth most where both were measured in the same minute.
 */
function inTurn(contestants, round) {
  const references = contestants.filter((contestant) => contestant.server === 'bun');
  const others = contestants.filter((contestant) => contestant.server !== 'bun');
  const ours = others.filter((contestant) => ['lean', 'mounted'].includes(contestant.server)).length;
  // Where there are several, each stands beside what it is for.
  const order = references.length === 1 ? others.toSpliced(ours >> 1, 0, ...references) : contestants;
  return round % 2 ? order.toReversed() : order;
}

/** One run of the generator: its figures, or the reason why there are none. */
async function measure(scenario, contestant) {
  const server = all[contestant.server];
  // A server of its own for each run: what one leaves behind must not be counted for the next.
  let running;
  try {
    running = await start(server);
  } catch (error) {
    // Ten minutes of figures are not thrown away for one server that does not start; the page says that it did not.
    return { faults: [error.message] };
  }
  try {
    const args = ['-c', GENERATOR_CORE, load, ...scenario.command, ...contestant.extra];
    args.push('--json', '--server', server.address, '--protocol', server.protocol, '--pid', running.pid);
    if (scenario.timed) args.push('--secs', options.secs);
    const run = spawnSync('taskset', args, { encoding: 'utf8', timeout: 120_000 });
    if (!run.stdout) return { faults: [run.stderr.trim() || 'it took longer than two minutes'] };
    return JSON.parse(run.stdout);
  } finally {
    await running.stop();
  }
}

const began = Date.now();
const before = loadavg()[0];
const results = new Map();
for (let round = 0; round < Number(options.rounds); round += 1) {
  for (const scenario of chosen) {
    for (const contestant of inTurn(scenario.contestants, round)) {
      // What takes long, or only stands beside, is measured in the first rounds alone: all of it is to fit into a coffee break.
      if (round >= (contestant.rounds ?? scenario.rounds ?? Infinity)) continue;
      const figures = await measure(scenario, contestant);
      const key = `${scenario.title}/${contestant.label}`;
      results.set(key, [...(results.get(key) ?? []), figures]);
      const shown = figures.faults.length > 0 ? figures.faults.join('; ') : scenario.columns.map((c) => `${c.figure} ${figures[c.figure]}`).join(', ');
      console.log(`round ${round + 1}: ${key}: ${shown}`);
    }
  }
}

const text = page({
  scenarios: chosen,
  results,
  rounds: Number(options.rounds),
  secs: options.secs,
  minutes: (Date.now() - began) / 60_000,
  load: before,
  bun: execFileSync('bench/peers/node_modules/.bin/bun', ['--version'], { encoding: 'utf8' }).trim(),
});
writeFileSync(options.out, text);
console.log(`written: ${options.out}`);
