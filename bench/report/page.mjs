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
      ? `**The machine was not idle when this run began (load ${load.toFixed(1)}): absolute figures mean little, ratios more.**\n\n`
      : '';
  return `# Benchmarks

Written by \`bench/compare\`; run it yourself to check the figures.

${busy}Machine: ${cpus().length} cores of ${cpus()[0].model}, ${gigabytes} GB, Linux ${release()}.
Versions: ${versions(bun)}.
Up to ${rounds} rounds of ${secs} s for each figure, fewer for long measurements and for servers other than Courtside and Bun, ${minutes.toFixed(0)} minutes in all; ${new Date().toISOString().slice(0, 10)}.

Each cell is the median, with the minimum and the maximum of the rounds.
A ratio to Bun is the median of the ratios of the rounds; for CPU, latency and memory, less is better.

${goalsTable(scenarios, results)}${sections.join('\n')}
## Where Courtside is behind Bun

${worse.length > 0 ? worse.join('\n') : 'Nowhere in this run, by more than 5 %.'}

${failed.length > 0 ? `## Runs that failed\n\n${failed.join('\n')}\n\n` : ''}## Method

- \`courtside-load\` (\`bench/load\`) puts the same load on all servers: one client sends a text, the server sends it to all.
  It is one thread with an epoll loop; when it is near 100 % of its core, it limits the rates, and only CPU and memory count.
- Every broadcast, echo and missed publication that any client receives carries a number, by which it is checked for loss, repetition and order. A run with an error does not count. The states of the small rooms are only counted.
- The server is pinned to one core with all of its threads, the generator to another. Each run has its own server process and a second of warm-up.
- The servers run in turn within each round, Bun between Courtside's runs, and every other round in reverse order, so that disturbances of the machine affect all of them.
- CPU is the time that the server's process used, in user space and kernel; memory is its resident set, from \`/proc\`.
- Courtside runs in two ways. *Lean*: it serves by itself (\`Site::serve\`), and a connection leaves the HTTP layer after its handshake. *Mounted*: it runs in an actix-web \`HttpServer\`, beside whatever else that serves.
  Its server is built as [getting-started.md](getting-started.md#in-production) recommends for production: with link-time optimisation, and with jemalloc, because Bun has its own allocator.
- All servers have compression off. Each is written as its own manual recommends: \`bench/peers\`, \`bench/server\`.

## Caveats

- Loopback is not a network: most of the measured time is the kernel's work for a send, and there is no loss and no delay.
- One core for each server. A Courtside server uses all cores; Node and Bun use one per process.
- The servers do different work. Courtside parses every message, counts the events of each session, keeps them until the client acknowledges them, and can resume a disconnected session without loss; Socket.IO and socketioxide frame and parse messages; Bun and ws pass bytes on. The text of 100 bytes is about 170 bytes on the wire with Courtside's envelope, 115 with Socket.IO's, 100 with none.
- Courtside's clients acknowledge every 64 KiB, as its protocol requires; this is part of its cost.
- Colyseus is not included: its clients must first request a seat by HTTP and use its own binary protocol, which the generator does not support. [state-benchmarks.md](state-benchmarks.md) compares the length of its patches with ours.
- Latency ends when the kernel tells the generator that a socket is readable; the generator asks after every 32 reads, so reading the others adds about a tenth of a millisecond. For the fan-out, it includes the publication's path to the server.
`;
}
