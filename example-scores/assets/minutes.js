// The clock of a match. The server sends when each half began; the minutes are counted here.

// The minute before the first, and the last regular one.
const PERIODS = {
  first_half: [0, 45],
  second_half: [45, 90],
  extra_time: [90, 105],
  extra_second_half: [105, 120],
};

const BREAKS = {
  half_time: ['HT', 'Half-time'],
  end_of_normal_time: ['90′', 'End of normal time'],
  extra_half_time: ['ET HT', 'Half-time of extra time'],
  penalties: ['PEN', 'Penalty shoot-out'],
  full_time: ['FT', 'Full time'],
};

/** What the clock shows at `now`, in the server's milliseconds, and its full text. */
export function clockOf(card, speed, now) {
  const period = PERIODS[card.phase];
  if (!period) {
    const [short, long] = BREAKS[card.phase] ?? ['', ''];
    if (card.phase === 'full_time' && card.penalties) return ['FT (p)', 'Full time, after penalties'];
    return [short, long];
  }
  const [from, to] = period;
  const passed = Math.max(0, Math.floor(((now - card.since) / 1000) * speed));
  const minute = from + passed + 1;
  const text = minute <= to ? `${minute}′` : `${to}+${minute - to}′`;
  return [text, `Minute ${text.slice(0, -1)}`];
}

/** How much of the match is over, from 0 to 1. */
export function progressOf(card, speed, now) {
  const period = PERIODS[card.phase];
  const length = card.phase.startsWith('extra') || card.phase === 'penalties' ? 120 : 90;
  if (card.phase === 'full_time' || card.phase === 'penalties') return 1;
  if (card.phase === 'half_time') return 0.5;
  if (!period) return card.phase === 'end_of_normal_time' ? 0.75 : 105 / 120;
  const [from, to] = period;
  const minute = Math.min(to, from + ((now - card.since) / 1000) * speed);
  return Math.max(0, Math.min(1, minute / length));
}

/** The minute of a goal: `23′`, `90+9′`. */
export function goalMinute(goal) {
  return goal.stoppage ? `${goal.minute}+${goal.stoppage}′` : `${goal.minute}′`;
}

/** The goals of one team, one line for each scorer: `['Geoff Hurst', '18′, 101′, 120′']`. */
export function scorersOf(card, side) {
  const lines = new Map();
  for (const goal of card.goals) {
    if (goal.side !== side) continue;
    const how = goal.own_goal ? ' o.g.' : goal.penalty ? ' pen.' : '';
    const key = goal.own_goal ? `${goal.scorer} (own goal)` : goal.scorer;
    lines.set(key, [...(lines.get(key) ?? []), goalMinute(goal) + how]);
  }
  return [...lines].map(([name, minutes]) => [name.replace(' (own goal)', ''), minutes.join(', ')]);
}
