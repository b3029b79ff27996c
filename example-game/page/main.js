// Connects the parts: states from the server go into the timeline, inputs go to the server, and each picture shows a moment
// slightly in the past, except for the player's ship, which is slightly ahead.

import { arenaIn, linkTo, refusalText } from '/arenas.js';
import { Chat } from '/chat.js';
import { Effects } from '/effects.js';
import { Hud, ranked } from '/hud.js';
import { Input } from '/input.js';
import { Map2D } from '/map.js';
import { Net } from '/net.js';
import { Own } from '/own.js';
import { HUES, hueOf, PICKUPS } from '/palette.js';
import { Scene } from '/scene.js';
import { play, soundOn, toggleSound, wakeSound } from '/sound.js';
import { Start } from '/start.js';
import { Timeline } from '/timeline.js';
import { watchEntities } from '/watch.js';

const HUD_MS = 100;
const CUT_MS = 5000;
const PING_MS = 2000;
const CALM = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
const PICKUP_WORDS = { repair: '+ hull', spread: 'triple shot', shield: 'shield' };

const $ = (selector) => document.querySelector(selector);
const timeline = new Timeline();
const own = new Own();
const effects = new Effects(CALM);
const scene = new Scene($('#scene'), CALM);
const map = new Map2D();
const hud = new Hud();
const input = new Input($('#scene'), useThumbs);
// All pilots ever seen, so that events about a pilot who has left still have a name and a colour.
const pilots = new Map();

let chatting = false;
let roundOver = null;
let destroyedBy = null;
let fightShownUntil = 0;
// While disconnected: since when, how many chat lines there were, and whether the page cut the connection on purpose.
let away = null;
// The page was reloaded, and it is not known yet whether it was playing.
let reloaded = false;
let lastHud = 0;
let lastFrame = performance.now();
let wasGone = false;

const net = new Net({
  entered(room) {
    timeline.follow(room);
    own.follow(room);
    chat.clear();
    effects.clear();
    pilots.clear();
    watchEntities(room, { pilots, arrived, fired });
    roundOver = null;
    hud.banner(null);
    showSeat();
    window.history.replaceState(null, '', linkTo('', room.id));
    start.entered(room);
    if (start.isOpen) start.refresh();
  },
  missing(id, error) {
    hud.notice(`${refusalText(id, error)} This is another one.`, 'bad', 8000);
  },
  searching() {
    start.searching();
  },
  notice(text) {
    hud.notice(text, 'info', 10_000);
  },
  restored() {
    reloaded = true;
  },
  seat({ tick_hz }, before) {
    timeline.tickMs = 1000 / tick_hz;
    showSeat();
    if (before !== null && net.elsewhere) hud.notice('You play in another tab. Press Play to take the ship back.', 'info', 6000);
    if (!reloaded) return;
    reloaded = false;
    if (net.ship === null) return;
    start.close();
    hud.notice('Back in the same ship.', 'good', 5000);
  },
  backlog(lines) {
    for (const line of lines) chat.add(line);
  },
  line(line) {
    chat.add(line);
  },
  roundOver(over) {
    roundOver = over;
    play('over');
    if (start.isOpen) start.refresh();
  },
  roundBegun() {
    roundOver = null;
    fightShownUntil = performance.now() + 1600;
    play('fight');
  },
  hit({ tick, x, y, ship, by, absorbed }) {
    effects.at(tick, () => {
      effects.hit(x, y, hueOf(pilots.get(by)), absorbed);
      play('hit', nearness(x, y));
      if (ship === net.ship && !CALM && !absorbed) effects.shake = Math.max(effects.shake, 0.35);
    });
  },
  destroyed({ tick, x, y, ship, by, points }) {
    const [loser, winner] = [pilots.get(ship), pilots.get(by)];
    if (ship === net.ship) destroyedBy = winner;
    effects.at(tick, () => {
      const near = nearness(x, y);
      effects.explosion(x, y, hueOf(loser), ship === net.ship ? 1 : near * 0.7);
      if (by === net.ship && points) effects.number(x, y, `+${points}`, '#ffffff');
      play('boom', near);
      hud.feed(winner, loser, points, net.ship);
    });
  },
  picked({ tick, x, y, ship, kind }) {
    effects.at(tick, () => {
      effects.ring(x, y, PICKUPS[kind], 60, 0.4);
      if (ship !== net.ship) return;
      effects.number(x, y, PICKUP_WORDS[kind], PICKUPS[kind]);
      play('pickup');
    });
  },
  failed(error) {
    hud.notice(error.message, 'bad', 5000);
  },
});

const chat = new Chat({
  say: (text) => net.chat(text),
  onFocus(has) {
    chatting = has;
    updateInput();
  },
  onRefused: (error) => hud.notice(error.message, 'bad', 4000),
});

const start = new Start(net, {
  play(name) {
    takeShip(name);
  },
  watch() {
    if (net.ship !== null) net.watch();
    else net.playing = false;
  },
  anew() {
    net.move(null, { fresh: true });
  },
  duel(name) {
    seekDuel(name);
  },
  failed(error) {
    hud.notice(error.message, 'bad', 5000);
  },
  toggled(isOpen) {
    updateInput();
    if (!isOpen) chat.toEnd();
  },
});

function useThumbs() {
  document.body.classList.add('touch');
  $('#chat-input').placeholder = 'Say something';
}

async function takeShip(name) {
  wakeSound();
  try {
    await net.play(name);
  } catch (error) {
    start.open();
    hud.notice(error.message, 'bad', 5000);
  }
}

// A duel is fought under the name that stands in the panel.
async function seekDuel(name) {
  wakeSound();
  try {
    if (name && name !== net.pass.name) await net.play(name);
    await net.duel();
  } catch (error) {
    start.open();
    hud.notice(error.message, 'bad', 5000);
  }
}

function updateInput() {
  input.enabled = !chatting && !start.isOpen;
  if (!input.enabled) input.release();
}

function showSeat() {
  const button = $('#seat');
  button.textContent = net.ship === null ? 'Play' : 'Watch';
  const seat = net.elsewhere ? 'Take the ship over from your other tab' : 'Take a ship';
  button.title = net.ship === null ? seat : 'Give up the ship and watch';
  document.body.classList.toggle('playing', net.ship !== null);
  start.show();
}

// How close something is to the middle of the picture, from 1 down to 0.
function nearness(x, y) {
  return Math.max(0, 1 - Math.hypot(x - scene.camera.x, y - scene.camera.y) / 1100);
}

const linesOfOthers = () => chat.saidByOthers(net.room?.member);

function watchConnection() {
  net.client.on('state', (state) => {
    if (state === 'open') return;
    if (state === 'closed') return hud.notice('The connection is closed. Reload the page to come back.', 'bad');
    if (state === 'reconnecting' && !away) away = { since: performance.now(), cut: 0, lines: linesOfOthers() };
  });
  net.client.on('open', ({ resumed }) => {
    own.forget();
    if (resumed || !away) return;
    away = null;
    hud.notice('The server no longer had this session. You have joined again as a new player.', 'bad', 6000);
  });
  // All missed chat lines have arrived.
  net.client.on('caughtup', () => {
    const left = away;
    away = null;
    if (!left) return;
    const missed = linesOfOthers() - left.lines;
    const said = missed === 1 ? '1 chat line was sent meanwhile' : `${missed} chat lines were sent meanwhile`;
    hud.notice(`Back in the same ${net.ship === null ? 'arena' : 'ship'}. ${missed ? `${said}, and none is missing.` : 'Nothing was missed.'}`, 'good', 5000);
  });
}

function cut() {
  away = { since: performance.now(), cut: CUT_MS, lines: linesOfOthers() };
  net.client.cut(CUT_MS);
}

function showAway(now) {
  if (!away || net.client.state === 'open') return;
  // The page does not know whether the ship still exists: the server may keep it or be down.
  const left = Math.ceil((away.cut - (now - away.since)) / 1000);
  const when = left > 0 ? `Back in ${left} s.` : `Reconnecting for ${Math.floor((now - away.since) / 1000)} s.`;
  hud.notice(`${away.cut ? 'Connection cut.' : 'Connection lost.'} ${when}`, 'bad');
}

function showBanner(now, state, ship) {
  if (state.phase === 'rest') {
    const winners = roundOver?.winners ?? [];
    const title = winners.length === 0 ? 'Nobody scored' : winners.length > 1 ? 'A draw' : winners[0].ship === net.ship ? 'You win!' : `${winners[0].name} wins`;
    const table = ranked(state.pilots).slice(0, 3).filter((pilot) => pilot.score);
    const lines = table.map((pilot, place) => ({ text: `${place + 1}   ${pilot.name}   ${pilot.score}`, color: hueOf(pilot) }));
    lines.push(`Round ${state.round + 1} in ${state.left}`);
    hud.banner(`over ${state.round}`, title, lines, winners[0] ? HUES[winners[0].hue % HUES.length] : '#ffffff');
  } else if (ship?.gone) {
    const soon = ship.gone <= 30;
    const by = destroyedBy ? [{ text: `by ${destroyedBy.name}`, color: hueOf(destroyedBy) }] : [];
    hud.banner('destroyed', 'Destroyed', [...by, `Back in ${Math.ceil(ship.gone / 10)}${soon ? ' — fire to return now' : ''}`], '#ff6262');
  } else if (now < fightShownUntil) {
    hud.banner(`fight ${state.round}`, 'Fight!', [`Round ${state.round}`], '#37e6ff');
  } else if (hud.bannerKey) {
    hud.banner(null);
  }
}

// The ship that the camera follows: the player's own or, for spectators, the one that the server chooses.
function followed(frame, mine) {
  if (mine) return mine;
  const { field, watched } = frame.state;
  return frame.ships.get(watched) ?? { x: field.width / 2, y: field.height / 2 };
}

function respawnOnFire(ship, fire) {
  const gone = Boolean(ship?.gone);
  if (gone && wasGone && fire && ship.gone <= 30) net.respawn();
  wasGone = gone;
}

// The player's ship is drawn where the inputs have already moved it.
function ahead(mine, now) {
  const flight = own.shown(now);
  if (!mine || mine.gone || mine.ghost || !flight) return;
  Object.assign(mine, { x: flight.x, y: flight.y, vx: flight.vx, vy: flight.vy });
}

function step(now) {
  requestAnimationFrame(step);
  const dt = Math.min(0.1, (now - lastFrame) / 1000);
  lastFrame = now;
  const seconds = now / 1000;
  const frame = timeline.sample(now, net.ship);
  const mine = (net.ship !== null && frame?.ships.get(net.ship)) || null;
  // Aim from where the ship is drawn.
  ahead(mine, now);
  const intent = input.read(mine, frame?.ships ?? new Map(), scene, seconds, dt);
  if (net.canSteer) own.advance(intent, dt * 1000, timeline.tickMs, (numbered) => net.steer(numbered));
  ahead(mine, now);
  if (mine && !mine.gone && !mine.ghost && input.enabled) {
    mine.angle = intent.aim;
    mine.thrust = intent.x !== 0 || intent.y !== 0;
  }
  effects.step(frame?.tick ?? 0, dt);
  const target = frame ? followed(frame, mine) : scene.camera;
  // Behind the start panel, shift the picture so that the followed ship is beside the panel.
  const aside = start.isOpen && window.innerWidth > 900 ? window.innerWidth * 0.3 / scene.camera.scale : 0;
  scene.draw(frame, { own: net.ship, target: { x: target.x - aside, y: target.y }, effects, dt, seconds, wide: start.isOpen });
  if (frame) map.draw(frame, net.ship, scene.camera, dt);
  if (now - lastHud >= HUD_MS) {
    lastHud = now;
    hud.connection(net.client.state, net.client.roundTrip, timeline.newestTick);
    showAway(now);
    const state = timeline.newest;
    if (state) {
      const ship = net.ship === null ? null : state.ships[net.ship] ?? null;
      hud.clock(state);
      hud.scoreboard(state.pilots, net.ship);
      hud.gauges(ship, own.shown(now)?.dash ?? (state.me?.dash ?? 0) / 1000);
      showBanner(now, state, ship);
      respawnOnFire(ship, intent.fire);
    }
  }
}

// A ship has appeared or returned.
function arrived(tick, id, x, y) {
  effects.at(tick, () => effects.arrival(x, y, hueOf(pilots.get(id))));
}

function fired(tick, owner, x, y, angle) {
  const mine = owner === net.ship;
  const show = () => {
    effects.muzzle(x, y, angle, hueOf(pilots.get(owner)));
    play('shot', nearness(x, y) * (mine ? 1 : 0.4));
  };
  // The player's shots are drawn ahead of the others', like the player's ship.
  if (mine) show();
  else effects.at(tick, show);
}

window.addEventListener('keydown', (event) => {
  const typing = event.target.closest?.('input, textarea');
  if (event.key === 'Escape' && !chatting) {
    if (start.isOpen) start.close();
    else start.open();
  }
  if (event.key === 'Enter' && !typing && !start.isOpen && !event.target.closest?.('button')) {
    event.preventDefault();
    chat.open();
  }
});

// A clicked button would react to the next press of the space bar.
function button(selector, act) {
  $(selector).addEventListener('click', (event) => {
    event.currentTarget.blur();
    act(event.currentTarget);
  });
}

button('#cut', cut);
button('#menu', () => (start.isOpen ? start.close() : start.open()));
button('#touch-chat', () => chat.open());
button('#seat', () => {
  // It is next to the start panel and has the labels of the panel's two buttons.
  start.close();
  if (net.ship === null) takeShip(start.name);
  else net.watch();
});
button('#sound', (self) => {
  self.setAttribute('aria-pressed', String(toggleSound()));
  wakeSound();
});

$('#sound').setAttribute('aria-pressed', String(soundOn()));
if (window.matchMedia('(pointer: coarse)').matches) useThumbs();
watchConnection();
showSeat();
// The client pings rarely, which is enough for liveness; ping more often to keep the displayed number fresh.
setInterval(() => net.client.ping().catch(() => {}), PING_MS);
net.client.whenOpen().then(() => start.refresh(), () => {});
net.enter(arenaIn(window.location.search));
start.open();
requestAnimationFrame(step);

// For browser tests and for the console.
window.arena = {
  client: net.client,
  get room() { return net.room; },
  get member() { return net.room?.member; },
  get ship() { return net.ship; },
  state: () => timeline.newest,
  own: () => own.shown(performance.now()),
  tick: () => timeline.newestTick,
  chatLines: () => chat.lines,
};
