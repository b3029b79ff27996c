// A match as a picture: time runs from left to right, the goals of the first team are above it and those of the second below.

import { el, setData } from './elements.js';
import { goalMinute, minuteOf } from './minutes.js';
import { flagOf } from './flags.js';

/** The periods, and how many minutes of stoppage time have room after each. */
const PERIODS = [
  { phase: 'first_half', from: 0, to: 45, room: 6 },
  { phase: 'second_half', from: 45, to: 90, room: 9 },
  { phase: 'extra_time', from: 90, to: 105, room: 4 },
  { phase: 'extra_second_half', from: 105, to: 120, room: 4 },
];

/** What is written between the periods. */
const BREAKS = ['HT', '90′', '', ''];

const HEIGHT = 132;
const AXIS = HEIGHT / 2;
/** From the axis to the marks of one goal; marks that would overlap are further away. */
const NEAREST = 22;
const STEP = 15;
const LEVELS = 3;
/** Marks that are closer than this, as a part of the width, would overlap. */
const WIDTH_OF_A_MARK = 0.085;

export class Picture {
  #teams;
  #svg = svg('svg', { role: 'img', height: HEIGHT, width: '100%' });
  #track = svg('g');
  #marks = svg('g');
  #past = svg('line', { class: 'past', x1: 0, x2: 0, y1: AXIS, y2: AXIS });
  #now = svg('circle', { class: 'now', cx: 0, cy: AXIS, r: 5 });
  #periods = [];
  #shown = 0;

  constructor(teams) {
    this.#teams = teams;
    this.#svg.append(this.#track, this.#past, this.#marks, this.#now);
    const flags = teams.map((name) => {
      const flag = el('i.flag');
      flag.style.background = flagOf(name);
      return flag;
    });
    this.element = el('div.picture', el('div.sides', ...flags), this.#svg);
  }

  update(state) {
    const entries = Object.values(state.events);
    const hasExtra = entries.some((entry) => entry.phase?.startsWith('extra')) || state.phase.startsWith('extra');
    const count = hasExtra ? 4 : 2;
    const goals = entries.filter((entry) => entry.type === 'goal');
    if (count !== this.#periods.length) {
      // Extra time needs room: all marks move.
      this.#lay(count);
      this.#marks.replaceChildren();
      this.#shown = 0;
    }
    const isFirst = this.#shown === 0;
    const levels = this.#levels(goals);
    for (const [index, goal] of goals.entries()) {
      if (index < this.#shown) continue;
      this.#marks.append(this.#mark(goal, levels[index], !isFirst));
    }
    this.#shown = goals.length;
    this.#svg.setAttribute('aria-label', describe(this.#teams, goals));
  }

  /** Moves the line of the time that has passed. */
  tick(state, clock) {
    const minute = minuteOf(state, clock);
    const index = PERIODS.findIndex(({ phase }) => phase === state.phase);
    let at = 1;
    if (minute) at = this.#place(index, minute[0] - (minute[1] ? 0 : 1), minute[1]);
    else if (state.phase === 'half_time') at = this.#periods[0].end;
    else if (state.phase === 'end_of_normal_time') at = this.#periods[1].end;
    else if (state.phase === 'extra_half_time') at = this.#periods[2]?.end ?? 1;
    this.#past.setAttribute('x2', percent(at));
    this.#now.setAttribute('cx', percent(at));
    setData(this.element, 'live', state.phase === 'full_time' ? null : '');
  }

  #lay(count) {
    const total = PERIODS.slice(0, count).reduce((sum, { from, to, room }) => sum + to - from + room, 0);
    let start = 0;
    this.#periods = PERIODS.slice(0, count).map((period) => {
      const end = start + (period.to - period.from + period.room) / total;
      const laid = { ...period, start, end, minute: 1 / total };
      start = end;
      return laid;
    });
    this.#track.replaceChildren(svg('line', { class: 'track-line', x1: 0, x2: '100%', y1: AXIS, y2: AXIS }));
    this.#periods.forEach((period, index) => {
      if (index === count - 1) return;
      const x = percent(period.end);
      this.#track.append(svg('line', { class: 'pause', x1: x, x2: x, y1: 8, y2: HEIGHT - 8 }));
      const label = svg('text', { x, y: HEIGHT - 1, 'text-anchor': 'middle' });
      label.textContent = BREAKS[index];
      this.#track.append(label);
    });
  }

  /** Where a minute is, as a part of the width. */
  #place(index, regular, stoppage) {
    const { from, start, end, minute } = this.#periods[index];
    return Math.min(end, start + (regular - from + stoppage) * minute);
  }

  #at(goal) {
    const index = this.#periods.findIndex(({ to }) => goal.minute <= to);
    return this.#place(index < 0 ? this.#periods.length - 1 : index, goal.minute, goal.stoppage);
  }

  /** How far each goal's mark is from the axis, so that no two of a team overlap. */
  #levels(goals) {
    const ends = { 1: Array(LEVELS).fill(-1), 2: Array(LEVELS).fill(-1) };
    return goals.map((goal) => {
      const at = this.#at(goal);
      const free = ends[goal.side].findIndex((end) => at - end >= WIDTH_OF_A_MARK);
      const level = free < 0 ? LEVELS - 1 : free;
      ends[goal.side][level] = at;
      return level;
    });
  }

  #mark(goal, level, isNew) {
    const up = goal.side === 1 ? -1 : 1;
    const x = percent(this.#at(goal));
    const y = AXIS + up * (NEAREST + level * STEP);
    const label = svg('text', { x, y: y + 4, 'text-anchor': 'middle' });
    label.textContent = goalMinute(goal);
    const title = svg('title');
    title.textContent = `${goalMinute(goal)} ${goal.scorer}`;
    return svg('g', { class: isNew ? 'goal new' : 'goal' }, title,
      svg('line', { x1: x, x2: x, y1: AXIS, y2: y - up * 8 }), svg('circle', { cx: x, cy: AXIS, r: 4.5 }), label);
  }
}

/** The picture in words. */
function describe(teams, goals) {
  const of = (side) => goals.filter((goal) => goal.side === side).map((goal) => `${goal.scorer} ${goalMinute(goal)}`);
  const words = teams.map((team, index) => `${team}: ${of(index + 1).join(', ') || 'no goals'}`);
  return `When the goals fell. ${words.join('. ')}.`;
}

function percent(part) {
  return `${(part * 100).toFixed(2)}%`;
}

function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
