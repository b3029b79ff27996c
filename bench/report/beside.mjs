// Measures two builds of Courtside's own server in turn and prints a table of their figures. Started by bench/beside.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

import { figuresOf, median, ratio } from './figures.mjs';
import { scenarios } from './scenarios.mjs';
import { GENERATOR_CORE, servers, start } from './servers.mjs';

const { values: options } = parseArgs({
  options: {
    old: { type: 'string' },
    new: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    secs: { type: 'string', default: '2' },
    only: { type: 'string' },
  },
});

const builds = { old: options.old, new: options.new };
// One generator for both, so that only the servers differ.
const load = `${options.new}/release/courtside-load`;
const results = new Map();
const keyOf = (scenario, contestant, build) => `${scenario.id}/${contestant.label}/${build}`;

function isChosen(scenario) {
  return !options.only || scenario.title.toLowerCase().includes(options.only.toLowerCase());
}

const rows = scenarios
  .filter(isChosen)
  .flatMap((scenario) =>
    scenario.contestants
      .filter((contestant) => ['lean', 'mounted'].includes(contestant.server))
      .map((contestant) => ({ scenario, contestant })),
  );

async function measure({ scenario, contestant }, build) {
  const server = servers(builds[build])[contestant.server];
  const running = await start(server);
  try {
    const args = ['-c', GENERATOR_CORE, load, ...scenario.command, ...contestant.extra];
    args.push('--json', '--server', server.address, '--protocol', server.protocol, '--pid', running.pid);
    if (scenario.timed) args.push('--secs', options.secs);
    const run = spawnSync('taskset', args, { encoding: 'utf8', timeout: 120_000 });
    return run.stdout ? JSON.parse(run.stdout) : { faults: [run.stderr.trim() || 'it took longer than two minutes'] };
  } finally {
    await running.stop();
  }
}

for (let round = 0; round < Number(options.rounds); round += 1) {
  for (const row of rows) {
    if (round >= (row.scenario.rounds ?? Infinity)) continue;
    // Every other round the new build goes first, so that a drift of the machine's speed favours neither.
    for (const build of round % 2 ? ['new', 'old'] : ['old', 'new']) {
      const figures = await measure(row, build);
      const key = keyOf(row.scenario, row.contestant, build);
      results.set(key, [...(results.get(key) ?? []), figures]);
      if (figures.faults.length > 0) console.error(`round ${round + 1}: ${key}: ${figures.faults.join('; ')}`);
    }
  }
}

const show = (number) => (number === undefined ? '–' : String(Number(number.toPrecision(3))));
const spread = (numbers) =>
  numbers.length === 0 ? '–' : `${show(median(numbers))} (${show(Math.min(...numbers))}–${show(Math.max(...numbers))})`;

console.log('| scenario | figure | old | new | new ÷ old |\n| --- | --- | ---: | ---: | ---: |');
for (const { scenario, contestant } of rows) {
  const [before, after] = ['old', 'new'].map((build) => results.get(keyOf(scenario, contestant, build)) ?? []);
  for (const { figure, head } of scenario.columns) {
    const quotient = ratio(after, before, figure);
    const cells = [`${scenario.title}: ${contestant.label}`, head, spread(figuresOf(before, figure)), spread(figuresOf(after, figure))];
    console.log(`| ${cells.join(' | ')} | ${quotient === undefined ? '–' : quotient.toFixed(2)} |`);
  }
}
