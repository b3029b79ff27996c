// What Courtside wants to be, each goal with the figure that tells whether it is: the table at the top of the page.
import { figuresOf, median, ratio } from './figures.mjs';

/** The two ways in which a Courtside server runs. */
const OURS = ['lean', 'mounted'];

const BUN = 'Bun, publish/subscribe';

/** Of each: where the figure comes from, what it is divided by (`beside`), and within what it must lie, for each way or for both. */
const goals = [
  {
    text: 'Fan-out to 1,000 at full speed, channel: CPU ÷ Bun',
    scenario: 'full-speed',
    of: (way) => `Courtside, ${way}, channel`,
    beside: () => BUN,
    figure: 'server_us_each',
    most: 1,
  },
  {
    text: 'Fan-out to 1,000 at 50/s, channel: CPU ÷ Bun',
    scenario: 'steady',
    of: (way) => `Courtside, ${way}, channel`,
    beside: () => BUN,
    figure: 'server_us_each',
    most: 1.15,
  },
  {
    text: 'Fan-out to 1,000 at 50/s, channel: p99 ÷ Bun',
    scenario: 'steady',
    of: (way) => `Courtside, ${way}, channel`,
    beside: () => BUN,
    figure: 'p99_us',
    most: 1.15,
  },
  {
    text: 'Fan-out at full speed, room: CPU ÷ channel',
    scenario: 'full-speed',
    of: (way) => `Courtside, ${way}, room`,
    beside: (way) => `Courtside, ${way}, channel`,
    figure: 'server_us_each',
    most: 1.05,
  },
  {
    text: 'Fan-out at 50/s, room: CPU ÷ channel',
    scenario: 'steady',
    of: (way) => `Courtside, ${way}, room`,
    beside: (way) => `Courtside, ${way}, channel`,
    figure: 'server_us_each',
    most: 1.05,
  },
  ...[100, 10_000].map((receivers) => ({
    text: `CPU per delivery, ${receivers.toLocaleString('en')} receivers ÷ 1,000 receivers`,
    scenario: 'receivers',
    of: (way) => `Courtside, ${way}, channel, ${receivers.toLocaleString('en')} receivers`,
    beside: (way) => `Courtside, ${way}, channel, 1,000 receivers`,
    figure: 'server_us_each',
    least: 0.85,
    most: 1.15,
  })),
  {
    text: 'Echo through a room: CPU ÷ Bun’s plain echo',
    scenario: 'echo',
    of: (way) => `Courtside, ${way}, room handler`,
    beside: () => 'Bun',
    figure: 'server_us_each',
    most: 1.25,
  },
  {
    text: 'Idle, 10,000 sessions: kB each',
    scenario: 'idle',
    of: (way) => `Courtside, ${way}, session`,
    figure: 'server_kb_each',
    most: { lean: 6, mounted: 13 },
  },
  {
    text: 'Storm of 5,000: failures',
    scenario: 'storm',
    of: (way) => `Courtside, ${way}`,
    figure: 'failures',
    most: 0,
  },
  {
    text: 'Storm of 5,000: CPU per resume ÷ Bun reconnecting',
    scenario: 'storm',
    of: (way) => `Courtside, ${way}`,
    beside: () => 'Bun, reconnecting',
    figure: 'server_us_each',
    most: 2,
  },
  {
    text: 'Storm of 15,000 at once: failures',
    scenario: 'great-storm',
    of: (way) => `Courtside, ${way}`,
    figure: 'failures',
    most: 0,
  },
  {
    text: 'Storm of 15,000 at once: peak memory ÷ idle memory',
    scenario: 'great-storm',
    of: (way) => `Courtside, ${way}`,
    figure: 'rss_peak_ratio',
    most: 2,
  },
  {
    text: '1,000 rooms of 4 at 20 Hz on one core: p99 lateness of a step in µs',
    scenario: 'rooms',
    of: (way) => `Courtside, ${way}`,
    figure: 'late_p99_us',
    most: 3000,
  },
  {
    text: '10 stalled among 1,000: s until they are disconnected',
    scenario: 'slow',
    of: (way) => `Courtside, ${way}, channel`,
    figure: 'cut_secs',
    most: 20,
  },
  {
    text: '10 stalled among 1,000: p99 of the others ÷ p99 without',
    scenario: 'slow',
    of: (way) => `Courtside, ${way}, channel`,
    figure: 'p99_ratio',
    most: 1.1,
  },
];

const digits = (value) => (value < 10 ? 2 : value < 100 ? 1 : 0);
const number = (value) => value.toLocaleString('en', { maximumFractionDigits: digits(value) });

/** A figure as it is shown: what is judged must be what the reader sees, or "2, missed" stands beside "≤ 2". */
const rounded = (value) => (value === undefined ? undefined : Number(value.toFixed(digits(value))));

/** One goal in one way: what is wanted, what is, and whether that will do; nothing where it was not measured. */
function judge(goal, way, scenarios, results) {
  const scenario = scenarios.find((each) => each.id === goal.scenario);
  const runsOf = (label) => (scenario && results.get(`${scenario.title}/${label}`)) ?? [];
  const runs = runsOf(goal.of(way));
  if (runs.length === 0) return undefined;
  const { least, most } = { ...goal, most: goal.most[way] ?? goal.most };
  const wanted = least === undefined ? (most === 0 ? '0' : `≤ ${number(most)}`) : `${number(least)} to ${number(most)}`;
  const figures = figuresOf(runs, goal.figure);
  const exact = goal.beside ? ratio(runs, runsOf(goal.beside(way)), goal.figure) : figures.length > 0 ? median(figures) : undefined;
  const value = rounded(exact);
  const failed = runs.filter((run) => run.faults.length > 0).length;
  // A run that failed has no figures that could be trusted, and no goal is met by leaving it out.
  const isMet = value !== undefined && failed === 0 && value <= most && value >= (least ?? 0);
  const shown = [value === undefined ? '' : number(value), failed > 0 ? `${failed} of ${runs.length} runs failed` : ''].filter(Boolean);
  return { wanted, isMet, measured: `${shown.join('; ') || '–'}${isMet ? '' : ', **missed**'}` };
}

/** The table, or nothing if none of it was measured. */
export function goalsTable(scenarios, results) {
  const rows = goals.flatMap((goal) => {
    const judged = OURS.map((way) => judge(goal, way, scenarios, results));
    return judged.some(Boolean) ? [{ goal, judged }] : [];
  });
  if (rows.length === 0) return '';
  const all = rows.flatMap((row) => row.judged).filter(Boolean);
  const met = all.filter((each) => each.isMet).length;
  const lines = rows.map(({ goal, judged }) => {
    const wanted = [...new Set(judged.filter(Boolean).map((each) => each.wanted))].join(' lean, ');
    const cells = judged.map((each) => each?.measured ?? '–');
    return `| ${goal.text} | ${wanted}${wanted.includes(' lean, ') ? ' mounted' : ''} | ${cells.join(' | ')} |`;
  });
  return `## Goals

${met} of ${all.length} are met. The section of each goal below describes it and shows the spread of the rounds.

| | goal | lean | mounted |
| --- | ---: | ---: | ---: |
${lines.join('\n')}

`;
}
