// The scoreboard's page: one connection, two subscriptions, one call, and the views.

import { connect } from '/courtside.js';
import { Away } from './away.js';
import { apply, cardOf, emptyBoard, isLive } from './board.js';
import { setData, setText } from './elements.js';
import { Groups } from './groups.js';
import { MatchDialog } from './match.js';
import { NO_CLOCK } from './minutes.js';
import { Premium } from './premium.js';
import { Rounds } from './rounds.js';
import { Stage } from './stage.js';
import { Ticker } from './ticker.js';

const byId = (id) => document.getElementById(id);
const client = connect('/ws');
const now = () => client.serverTime() ?? Date.now();

let board = emptyBoard();
let clock = NO_CLOCK;
/** Publications that arrived before the answer to `scores.board`; null once it has arrived. */
let early = [];
/** When the channel's offsets start again, it has a new epoch. */
let epoch = null;

const dialog = new MatchDialog(byId('match'), client);
const open = (id) => {
  const card = cardOf(board, id);
  if (card) dialog.open(card, board.run, clock);
};
const stage = new Stage(byId('stage'), open);
const groups = new Groups(byId('groups'), open);
const rounds = new Rounds(byId('rounds'), open);
const ticker = new Ticker(byId('ticker'), open);
const away = new Away(byId('away'), open, (text) => setText(byId('announcer'), text));
new Premium(byId('premium'), connect);

client
  .subscribe('updates', (update, info) => {
    if (epoch !== info.epoch) {
      epoch = info.epoch;
      ticker.clear();
    }
    const late = now() - update.time > 1500;
    if (update.type === 'run_started') ticker.clear();
    ticker.add(update, !info.past);
    away.add(update, info);
    if (early) early.push({ offset: info.offset, data: update });
    else take({ offset: info.offset, data: update }, !late);
  })
  // Disconnected for longer than the history reaches: request the board for what the history no longer has.
  .onGap(load);
// Only the newest minutes matter: the channel delivers nothing else, also after a lost connection.
client.subscribe('clock', (reading) => {
  clock = reading;
  tick();
});
// The server no longer has the session, for example because it was restarted.
client.on('lost', load);
load();

/** Requests the whole board and applies what is published meanwhile. */
async function load() {
  const mine = (early = []);
  try {
    const snapshot = await client.call('scores.board');
    if (early !== mine) return; // Requested again since: use the newer answer.
    board = snapshot;
    early = null;
    for (const publication of mine) take(publication, false);
    scheduleDraw();
  } catch (error) {
    // After a lost session, the listener of `lost` has requested it again.
    if (error.code !== 'session_lost') setText(byId('status'), error.message);
  }
}

function take(publication, fresh) {
  if (!apply(board, publication)) return;
  scheduleDraw();
  const { type, data, text } = publication.data;
  if (type === 'goal' && fresh) {
    // After the scheduled drawing, so that the new score is animated.
    requestAnimationFrame(() => stage.celebrate(data));
    setText(byId('announcer'), text);
  }
}

let drawing = false;
function scheduleDraw() {
  if (drawing) return;
  drawing = true;
  // Draw the page once, however many publications arrived together.
  requestAnimationFrame(() => {
    drawing = false;
    setText(byId('name'), board.name || 'Scores');
    stage.update(board, clock);
    groups.update(board);
    rounds.update(board, clock);
    tick();
    showStatus();
  });
}

/** Updates the clocks. */
function tick() {
  stage.tick(clock);
  rounds.tick(clock);
  dialog.tick(clock);
}

function showStatus() {
  if (board.run) setText(byId('status'), statusLine(now()));
}

function statusLine(time) {
  if (board.finished) {
    const { champion, again_in, since } = board.finished;
    const over = champion ? `${champion} are the champions!` : 'All matches are played.';
    if (again_in === null) return over;
    const left = Math.max(0, Math.ceil(again_in - (time - since) / 1000));
    return `${over} Again in ${left} s.`;
  }
  const live = board.matches.filter(isLive).length;
  const played = board.matches.length - live;
  // Of a referee's matches, it is not known how many there will be.
  const count = board.total ? `${played} of ${board.total} matches` : `${played} ${played === 1 ? 'match' : 'matches'}`;
  return `${count} played, ${live || 'none'} live`;
}

const WORDS = { connecting: 'Connecting', open: 'Live', reconnecting: 'Reconnecting', closed: 'Ended' };

function showState(state) {
  setData(byId('badge'), 'state', state);
  setText(byId('badge-text'), WORDS[state] ?? state);
}

client.on('state', showState);
client.on('state', noticeAbsence);
document.addEventListener('visibilitychange', noticeAbsence);

/** A visitor is here who looks at a page that is connected. */
function noticeAbsence() {
  const isHere = client.state === 'open' && document.visibilityState === 'visible';
  if (isHere) away.comeBack(now());
  else away.leave(now());
}
client.on('caughtup', ({ missed }) => {
  if (missed === 0) return;
  setText(byId('badge-text'), `Live, ${missed} caught up`);
  setTimeout(() => showState(client.state), 5000);
});

byId('cut').addEventListener('click', () => client.cut(5000));
setInterval(showStatus, 250);
scheduleDraw();

// For browser tests and for the console.
window.scores = { client };
