// A team's flag and name, as they appear everywhere on the page.

import { el } from './elements.js';
import { flagOf } from './flags.js';

/** `<span class="team"><i class="flag"></i><span>Japan</span></span>` */
export function teamElement(name) {
  const flag = el('i.flag');
  flag.style.background = flagOf(name);
  return el('span.team', flag, el('span.team-name', name));
}

/** The score of a match in one text: `3–3` and the shoot-out, if there was one. */
export function scoreText(card) {
  const score = card.score.join('–');
  return card.penalties ? `${score} (${card.penalties.join('–')} p)` : score;
}
