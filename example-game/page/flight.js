// How a ship moves: `src/flight.rs` in JavaScript, with which the page shows the player's ship ahead of the server.
// `fixtures/flight.json` tests both against the same flight: if you change a number here, change it there, too.

const ACCELERATION = 1150;
const DRAG = 2.8;
const DASH_SPEED = 620;
export const DASH_PAUSE = 2;
const NEARLY = 0.005;
const BOUNCE = 0.55;
const RADIUS = 22;

// The flight { x, y, vx, vy, dash } after so many seconds with an input { x, y, aim, dash }.
// `flight.dash` is the time in seconds until the drive can dash again.
export function fly(flight, input, seconds, field) {
  let { x, y, vx, vy } = flight;
  let dash = Math.max(0, flight.dash - seconds);
  const thrust = atMostOne(input.x, input.y);
  if (input.dash && dash < NEARLY) {
    const length = Math.hypot(thrust.x, thrust.y);
    vx += DASH_SPEED * (length > 0 ? thrust.x / length : Math.cos(input.aim));
    vy += DASH_SPEED * (length > 0 ? thrust.y / length : Math.sin(input.aim));
    dash = DASH_PAUSE;
  }
  // The exact solution of constant thrust against drag, so it can be split into steps anywhere.
  const terminal = { x: thrust.x * ACCELERATION / DRAG, y: thrust.y * ACCELERATION / DRAG };
  const kept = Math.exp(-DRAG * seconds);
  x += terminal.x * seconds + (vx - terminal.x) * (1 - kept) / DRAG;
  y += terminal.y * seconds + (vy - terminal.y) * (1 - kept) / DRAG;
  vx = terminal.x + (vx - terminal.x) * kept;
  vy = terminal.y + (vy - terminal.y) * kept;
  return contain({ ...flight, x, y, vx, vy, dash }, field);
}

function atMostOne(x, y) {
  const length = Math.max(1, Math.hypot(x, y));
  return { x: x / length, y: y / length };
}

// Puts a ship that has moved into a wall or a pylon back outside, and turns its velocity around.
function contain(flight, field) {
  for (const [px, py, radius] of field.pylons) {
    const away = { x: flight.x - px, y: flight.y - py };
    const distance = Math.hypot(away.x, away.y);
    const reach = radius + RADIUS;
    if (distance >= reach) continue;
    const normal = distance > 0 ? { x: away.x / distance, y: away.y / distance } : { x: 1, y: 0 };
    flight.x = px + normal.x * reach;
    flight.y = py + normal.y * reach;
    const inward = flight.vx * normal.x + flight.vy * normal.y;
    if (inward < 0) {
      flight.vx -= normal.x * inward * (1 + BOUNCE);
      flight.vy -= normal.y * inward * (1 + BOUNCE);
    }
  }
  [flight.x, flight.vx] = containAxis(flight.x, flight.vx, field.width - RADIUS);
  [flight.y, flight.vy] = containAxis(flight.y, flight.vy, field.height - RADIUS);
  return flight;
}

function containAxis(at, speed, end) {
  if (at < RADIUS) return [RADIUS, Math.abs(speed) * BOUNCE];
  if (at > end) return [end, -Math.abs(speed) * BOUNCE];
  return [at, speed];
}
