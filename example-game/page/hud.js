// The panels over the picture: connection, clock, scores, feed, gauges and the banner in the middle.

import { DASH_PAUSE } from '/flight.js';
import { HUES } from '/palette.js';

const $ = (selector) => document.querySelector(selector);
const FEED_MS = 5500;
const FEED_LINES = 5;

// Elements are updated only if something has changed.
function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

export class Hud {
  #banner = $('#banner');
  #notice = $('#notice');
  #noticeTimer = 0;
  #bannerKey = '';
  #scores = '';

  connection(state, roundTrip, tick) {
    const badge = $('#connection');
    badge.dataset.state = state;
    text(badge, state);
    text($('#rtt'), roundTrip === undefined ? '–' : String(Math.max(1, Math.round(roundTrip))));
    text($('#tick'), tick === null ? '–' : String(tick));
  }

  clock(state) {
    const left = `${Math.floor(state.left / 60)}:${String(state.left % 60).padStart(2, '0')}`;
    text($('#round'), `Round ${state.round}`);
    text($('#left'), left);
    text($('#phase'), state.phase === 'rest' ? 'next round' : watchers(state.watching));
    $('#clock').classList.toggle('late', state.phase === 'fight' && state.left <= 10);
  }

  scoreboard(pilots, own) {
    const rows = ranked(pilots);
    const key = JSON.stringify([own, rows.map(({ id, name, score, kills, deaths, ghost }) => [id, name, score, kills, deaths, ghost])]);
    if (key === this.#scores) return;
    this.#scores = key;
    $('#scoreboard').replaceChildren(...rows.map((pilot) => {
      const row = document.createElement('li');
      row.classList.toggle('own', pilot.id === own);
      row.classList.toggle('ghost', pilot.ghost === true);
      row.style.setProperty('--hue', HUES[pilot.hue % HUES.length]);
      row.append(part('i', ''), part('span', pilot.name), part('small', pilot.bot ? 'bot' : `${pilot.kills ?? 0}/${pilot.deaths ?? 0}`), part('b', String(pilot.score ?? 0)));
      return row;
    }));
  }

  // `dash` is the time in seconds until the drive can dash again.
  gauges(ship, dash) {
    $('#gauges').hidden = !ship || Boolean(ship.gone);
    if (!ship) return;
    $('#hull').value = ship.hull;
    $('#dash').value = 10 * (1 - dash / DASH_PAUSE);
  }

  feed(by, ship, points, own) {
    const row = document.createElement('li');
    const name = (who) => {
      const tag = part('b', who?.name ?? 'somebody');
      if (who) tag.style.color = HUES[who.hue % HUES.length];
      return tag;
    };
    row.classList.toggle('own', own !== null && (by?.id === own || ship?.id === own));
    row.append(name(by), part('span', ' ✦ '), name(ship), part('small', points ? ` +${points}` : ''));
    const feed = $('#feed');
    feed.append(row);
    while (feed.childElementCount > FEED_LINES) feed.firstElementChild.remove();
    setTimeout(() => row.remove(), FEED_MS);
  }

  // The banner in the middle: `key` identifies it, so that a countdown does not restart the animation.
  banner(key, title, lines = [], color = '#ffffff') {
    if (key === null) {
      this.#bannerKey = '';
      this.#banner.hidden = true;
      return;
    }
    if (key !== this.#bannerKey) {
      this.#bannerKey = key;
      this.#banner.hidden = true;
      this.#banner.replaceChildren(part('strong', ''), part('div', ''));
      this.#banner.style.setProperty('--hue', color);
      // Read the layout in between, or the browser sees no change and does not animate.
      void this.#banner.offsetWidth;
      this.#banner.hidden = false;
    }
    const [head, body] = this.#banner.children;
    text(head, title);
    const said = lines.map((line) => line.text ?? line).join('\n');
    if (body.dataset.said !== said) {
      body.dataset.said = said;
      body.replaceChildren(...lines.map((line) => {
        const row = part('p', line.text ?? line);
        if (line.color) row.style.color = line.color;
        return row;
      }));
    }
  }

  get bannerKey() {
    return this.#bannerKey;
  }

  // A notice about the connection; stays until the next one, or for the given time.
  notice(message, kind = 'info', milliseconds = 0) {
    clearTimeout(this.#noticeTimer);
    this.#notice.hidden = message === null;
    if (message === null) return;
    this.#notice.dataset.kind = kind;
    text(this.#notice, message);
    if (milliseconds > 0) this.#noticeTimer = setTimeout(() => this.notice(null), milliseconds);
  }
}

export function ranked(pilots) {
  return Object.entries(pilots)
    .map(([id, pilot]) => ({ ...pilot, id: Number(id) }))
    .sort((one, other) => (other.score ?? 0) - (one.score ?? 0) || (one.deaths ?? 0) - (other.deaths ?? 0) || one.id - other.id);
}

function watchers(count) {
  if (!count) return '';
  return count === 1 ? '1 watching' : `${count} watching`;
}

function part(tag, content) {
  const element = document.createElement(tag);
  element.textContent = content;
  return element;
}
