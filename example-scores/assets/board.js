// The board: the result of all publications of a run. Pure, so that it can be tested without a browser.
//
// It is built from the server's answer to `scores.board`, which is the board after some offset, and from
// publications. Publications at or below the board's offset are ignored, so no goal is counted twice, in
// whatever order the two arrive.

/** A board before the first publication. */
export function emptyBoard() {
  return {
    offset: 0, run: 0, name: '', speed: 0, total: 0, pitches: 0,
    groups: [], rounds: [], matches: [], finished: null,
  };
}

const WHISTLES = new Set([
  'half_time', 'second_half', 'end_of_normal_time', 'extra_time', 'extra_half_time',
  'extra_second_half', 'penalties', 'full_time',
]);

/** Applies a publication and returns whether it was new. */
export function apply(board, { offset, data: update }) {
  if (offset <= board.offset) return false;
  board.offset = offset;
  const { type, data, time, run } = update;
  if (type === 'run_started') {
    Object.assign(board, {
      run, name: data.name, speed: data.speed, total: data.matches, pitches: data.pitches,
      groups: data.groups.map((group) => ({ ...group })), rounds: data.rounds,
      matches: [], finished: null,
    });
  } else if (type === 'kick_off') {
    board.matches.push({
      ...data, phase: 'first_half', since: time, score: [0, 0], penalties: null, winner: null, goals: [],
    });
  } else if (type === 'goal') {
    const card = cardOf(board, data.match);
    if (card) {
      card.score = data.score;
      card.goals.push(data);
    }
  } else if (WHISTLES.has(type)) {
    const card = cardOf(board, data.match);
    if (card) {
      card.phase = type;
      card.since = time;
      card.score = data.score;
      if (type === 'full_time') Object.assign(card, { penalties: data.penalties, winner: data.winner });
    }
  } else if (type === 'table') {
    const group = board.groups.find((group) => group.name === data.group);
    if (group) group.rows = data.rows;
  } else if (type === 'run_finished') {
    board.finished = { since: time, ...data };
  }
  // An unknown type comes from a newer server: skip it.
  return true;
}

/** The match with this id, if it has begun. */
export function cardOf(board, id) {
  return board.matches.findLast((card) => card.match === id);
}

/** Whether a match is live. */
export function isLive(card) {
  return card.phase !== 'full_time';
}

/** The current or last match on a pitch. */
export function onPitch(board, pitch) {
  return board.matches.findLast((card) => card.pitch === pitch);
}
