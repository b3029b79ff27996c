// The clock of a match. The server publishes the minutes on the channel `clock`; the words for breaks are here.

/** A clock before its first publication. */
export const NO_CLOCK = { matches: {} };

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

/** The minute and the stoppage time of a match, or null in a break. */
export function minuteOf(card, clock) {
  const period = PERIODS[card.phase];
  if (!period) return null;
  const reading = clock.matches[card.match];
  // The clock and the whistles are two channels: either may be ahead of the other.
  if (reading?.phase !== card.phase) return [period[0] + 1, 0];
  return [reading.minute, reading.stoppage];
}

/** What the clock shows, and its full text. */
export function clockOf(card, clock) {
  const minute = minuteOf(card, clock);
  if (!minute) {
    if (card.phase === 'full_time' && card.penalties) return ['FT (p)', 'Full time, after penalties'];
    return BREAKS[card.phase] ?? ['', ''];
  }
  const text = minuteText(minute);
  return [text, `Minute ${text.slice(0, -1)}`];
}

/** How much of the match is over, from 0 to 1. */
export function progressOf(card, clock) {
  const length = card.phase.startsWith('extra') || card.phase === 'penalties' ? 120 : 90;
  const minute = minuteOf(card, clock);
  if (minute) return (minute[0] - (minute[1] ? 0 : 1)) / length;
  if (card.phase === 'half_time') return 0.5;
  if (card.phase === 'end_of_normal_time') return 0.75;
  return card.phase === 'extra_half_time' ? 105 / 120 : 1;
}

function minuteText([minute, stoppage]) {
  return stoppage ? `${minute}+${stoppage}′` : `${minute}′`;
}

/** The minute of a goal: `23′`, `90+9′`. */
export function goalMinute(goal) {
  return minuteText([goal.minute, goal.stoppage]);
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
