// The page that is written: tables, and everything that somebody needs to doubt them.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

import { figuresOf, median, ratio } from './figures.mjs';
import { goalsTable } from './goals.mjs';

/** The two ways in which a Courtside server runs. */
const OURS = ['lean', 'mounted'];

function show(number) {
  if (Math.abs(number) >= 1000) return Math.round(number).toLocaleString('en');
  return String(Number(number.toPrecision(3)));
}

/** Median, and the least and the most if there are several. */
function cell(numbers) {
  if (numbers.length === 0) return '–';
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)].map(show);
  return least === most ? least : `${show(median(numbers))} (${least}–${most})`;
}

/** Whom a contestant is set beside, by what the column is called: Bun, if it is there and nothing else is said. */
function beside(scenario, contestant) {
  const bun = scenario.contestants.find((each) => each.server === 'bun');
  return contestant.beside ?? (bun ? { Bun: bun.label } : {});
}

function table(scenario, results) {
  const runsOf = (label) => results.get(`${scenario.title}/${label}`) ?? [];
  const names = [...new Set(scenario.contestants.flatMap((contestant) => Object.keys(beside(scenario, contestant))))];
  const compared = scenario.columns
    .filter((column) => column.less !== undefined)
    .flatMap((column) => names.map((name) => ({ column, name })));
  const head = ['', ...scenario.columns.map((c) => c.head), ...compared.map(({ column, name }) => `${column.head} ÷ ${name}`)];
  const rows = scenario.contestants.map((contestant) => {
    const runs = runsOf(contestant.label);
    const ratios = compared.map(({ column, name }) => {
      const value = ratio(runs, runsOf(beside(scenario, contestant)[name]), column.figure);
      return value === undefined ? '–' : value.toFixed(2);
    });
    return [contestant.label, ...scenario.columns.map((c) => cell(figuresOf(runs, c.figure))), ...ratios];
  });
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, n) => (n ? '---:' : '---'))), ...rows.map(line)].join('\n');
}

/** Every run that failed, with its reason. */
function faults(scenarios, results) {
  return scenarios.flatMap((scenario) =>
    scenario.contestants.flatMap((contestant) => {
      const runs = results.get(`${scenario.title}/${contestant.label}`) ?? [];
      const reasons = new Set(runs.flatMap((run) => run.faults));
      const failed = runs.filter((run) => run.faults.length > 0).length;
      return failed ? [`- ${scenario.title}, ${contestant.label}: ${failed} of ${runs.length} runs do not count: ${[...reasons].join('; ')}`] : [];
    }),
  );
}

/** Where Courtside is behind Bun, said before anybody has to look for it. */
function behind(scenarios, results) {
  return scenarios.flatMap((scenario) => {
    const runsOf = (label) => results.get(`${scenario.title}/${label}`) ?? [];
    return scenario.contestants
      .filter((contestant) => OURS.includes(contestant.server))
      .flatMap((contestant) =>
        scenario.columns.flatMap((column) => {
          const value = column.less === undefined ? undefined : ratio(runsOf(contestant.label), runsOf(beside(scenario, contestant).Bun), column.figure);
          const isWorse = value !== undefined && (column.less ? value > 1.05 : value < 0.95);
          return isWorse ? [`- ${scenario.title}, ${contestant.label}: ${column.head}, ${value.toFixed(2)} times Bun's.`] : [];
        }),
      );
  });
}

function versions(bun) {
  const lock = JSON.parse(readFileSync('bench/peers/package-lock.json', 'utf8')).packages;
  const cargo = readFileSync('bench/peers/socketioxide/Cargo.lock', 'utf8');
  const crate = (name) => new RegExp(`name = "${name}"\nversion = "([^"]+)"`).exec(cargo)?.[1];
  const run = (command, ...args) => execFileSync(command, args, { encoding: 'utf8' }).trim();
  const commit = run('git', 'rev-parse', '--short', 'HEAD');
  return [
    `Courtside ${commit} (${run('rustc', '--version').split(' ').slice(0, 2).join(' ')})`,
    `Bun ${bun}`,
    `ws ${lock['node_modules/ws'].version}`,
    `Socket.IO ${lock['node_modules/socket.io'].version}`,
    `Node ${process.versions.node}`,
    `socketioxide ${crate('socketioxide')} on axum ${crate('axum')}`,
  ].join(', ');
}

export function page({ scenarios, results, rounds, secs, minutes, load, bun }) {
  const sections = scenarios.map((scenario) => `## ${scenario.title}\n\n${scenario.text}\n\n${table(scenario, results)}\n`);
  const failed = faults(scenarios, results);
  const worse = behind(scenarios, results);
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  const busy =
    load > 0.5
      ? `**The machine was not idle when this run began (load ${load.toFixed(1)}): absolute figures are worth little, ratios something.**\n\n`
      : '';
  return `# Benchmarks

Written by \`bench/compare\`; run it again rather than believe it.

${busy}Machine: ${cpus().length} cores of ${cpus()[0].model}, ${gigabytes} GB, Linux ${release()}.
Versions: ${versions(bun)}.
Up to ${rounds} rounds of ${secs} s for each figure, fewer for what takes long and for those beside Courtside and Bun, ${minutes.toFixed(0)} minutes in all; ${new Date().toISOString().slice(0, 10)}.

Each cell is the median, with the least and the most of the rounds.
A ratio to Bun is the median of the rounds' own ratios; the less the better for CPU, latency and memory.

${goalsTable(scenarios, results)}${sections.join('\n')}
## Where Courtside is behind Bun

${worse.length > 0 ? worse.join('\n') : 'Nowhere in this run, by more than 5 %.'}

${failed.length > 0 ? `## Runs that failed\n\n${failed.join('\n')}\n\n` : ''}## Method

- \`courtside-load\` (\`bench/load\`) puts the same load on all: one client sends a text, the server sends it to everybody.
  It is one thread with an epoll loop; where it comes near 100 % of its core, rates are bounded by it and only CPU and memory count.
- Every broadcast, echo and missed publication that any client receives is checked for loss, repetition and order by a number that it carries. A run in which one is wrong does not count. The states of the small rooms are only counted.
- The server is pinned to one core with all of its threads, the generator to another. Each run has a server process of its own and a second of warm-up.
- The servers are run in turn within each round, Bun between Courtside's runs, and every other round backwards: so what disturbs the machine disturbs all.
- CPU is the time that the server's process was on its core, in user and kernel; memory is its resident set, from \`/proc\`.
- Courtside runs in two ways. *Lean* is by itself (\`Site::serve\`), where a connection leaves the HTTP layer after its handshake; *mounted* is in an \`HttpServer\` of actix-web, beside whatever else that serves.
  Its server is built as [getting-started.md](getting-started.md#in-production) advises for production: optimised across crates, and with jemalloc, as Bun has an allocator of its own.
- All servers have compression off. Each is written as its own manual shows it: \`bench/peers\`, \`bench/server\`.

## Caveats

- Loopback is no network: the kernel's work for a send is most of what is measured, and there is no loss and no delay.
- One core for each server. A Courtside server uses all cores; Node and Bun use one per process.
- They do not do the same. Courtside parses every message, counts what each session was sent, keeps it until the client acknowledges it, and can resume a cut session without loss; Socket.IO and socketioxide frame and parse messages; Bun and ws pass bytes on. The text of 100 bytes is about 170 bytes on the wire with Courtside's envelope, 115 with Socket.IO's, 100 with none.
- Courtside's clients acknowledge as its protocol asks, each 64 KiB; that is part of its cost.
- Colyseus is not among them: its clients must ask for a seat by HTTP first and speak a binary protocol of their own, which the generator does not. How long its patches are beside ours stands in [state-benchmarks.md](state-benchmarks.md).
- Latency ends when the kernel tells the generator that a socket is readable; the generator asks after every 32 reads, so that reading the others adds about a tenth of a millisecond. For the fan-out it includes the way of the publication to the server.
`;
}
