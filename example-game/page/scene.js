// Draws one picture of the arena: the ground, the objects on it, and the names.

import { drawField, drawSky } from '/backdrop.js';
import { hueOf, neon, PICKUPS, stampGlow } from '/palette.js';
import { drawShip, drawTag } from '/ships.js';

const TRAIL_SECONDS = 0.45;
// Farther than a ship flies between two pictures: it was out of view, so draw no trail from there.
const LEAP = 120;

export class Scene {
  camera = { x: 1200, y: 800, scale: 1 };
  #canvas;
  #paint;
  #calm;
  #wide = 1.5;
  #trails = new Map();

  constructor(canvas, calm) {
    this.#canvas = canvas;
    this.#paint = canvas.getContext('2d', { alpha: false });
    this.#calm = calm;
  }

  #resize(wide, dt) {
    const density = Math.min(2, window.devicePixelRatio || 1);
    const width = window.innerWidth;
    const height = window.innerHeight;
    if (this.#canvas.width !== Math.round(width * density) || this.#canvas.height !== Math.round(height * density)) {
      this.#canvas.width = Math.round(width * density);
      this.#canvas.height = Math.round(height * density);
    }
    // Every screen, portrait or landscape, shows about the same area of the arena; behind the start panel, more of it.
    this.#wide += ((wide ? 1.5 : 1) - this.#wide) * (1 - Math.exp(-dt * 5));
    this.camera.scale = Math.sqrt(width * height) / (1020 * this.#wide);
    return { width, height, density };
  }

  // Converts a point of the window to a point of the arena.
  toArena(x, y) {
    const { camera } = this;
    return {
      x: camera.x + (x - window.innerWidth / 2) / camera.scale,
      y: camera.y + (y - window.innerHeight / 2) / camera.scale,
    };
  }

  #follow(target, field, size, dt) {
    const { camera } = this;
    const near = 1 - Math.exp(-dt * 7);
    if (Math.hypot(target.x - camera.x, target.y - camera.y) > 1400) Object.assign(camera, target);
    camera.x += (target.x - camera.x) * near;
    camera.y += (target.y - camera.y) * near;
    const keep = (at, end, half) => {
      // The picture goes on well beyond the walls: the panels in its corners must not cover a ship in a corner.
      const margin = 0.5 * half;
      return end + 2 * margin < 2 * half ? end / 2 : Math.max(half - margin, Math.min(end - half + margin, at));
    };
    camera.x = keep(camera.x, field.width, size.width / 2 / camera.scale);
    camera.y = keep(camera.y, field.height, size.height / 2 / camera.scale);
  }

  // `own` is the id of the player's ship, `target` the camera's target, `effects` the effects to draw,
  // `wide` whether more of the arena is shown.
  draw(frame, { own, target, effects, dt, seconds, wide }) {
    const size = this.#resize(wide, dt);
    const paint = this.#paint;
    paint.setTransform(size.density, 0, 0, size.density, 0, 0);
    if (!frame) {
      drawSky(paint, size.width, size.height, this.camera, seconds, this.#calm);
      return;
    }
    const { field } = frame.state;
    this.#follow(target, field, size, dt);
    drawSky(paint, size.width, size.height, this.camera, seconds, this.#calm);
    const { camera } = this;
    const jolt = effects.shake * effects.shake * 14;
    paint.translate(
      size.width / 2 + (Math.random() - 0.5) * jolt,
      size.height / 2 + (Math.random() - 0.5) * jolt,
    );
    paint.scale(camera.scale, camera.scale);
    paint.translate(-camera.x, -camera.y);

    drawField(paint, field, seconds, this.#calm);
    for (const pickup of frame.pickups) this.#pickup(pickup, seconds);
    for (const id of this.#trails.keys()) if (frame.ships.get(id)?.gone ?? !frame.ships.has(id)) this.#trails.delete(id);
    paint.globalCompositeOperation = 'lighter';
    paint.lineCap = paint.lineJoin = 'round';
    for (const ship of frame.ships.values()) this.#trail(ship, seconds, effects);
    for (const shot of frame.shots.values()) this.#shot(shot, frame.ships.get(shot.owner));
    for (const ship of frame.ships.values()) if (!ship.gone) drawShip(paint, ship, ship.id === own, seconds, this.#calm);
    effects.draw(paint);
    for (const ship of frame.ships.values()) if (!ship.gone) drawTag(paint, ship, ship.id === own, camera.scale);
  }

  #trail(ship, seconds, effects) {
    if (ship.gone || ship.ghost) return;
    const paint = this.#paint;
    const trail = this.#trails.get(ship.id) ?? [];
    this.#trails.set(ship.id, trail);
    const end = { x: ship.x - Math.cos(ship.angle) * 12, y: ship.y - Math.sin(ship.angle) * 12, at: seconds };
    const last = trail.at(-1);
    if (last && Math.hypot(end.x - last.x, end.y - last.y) > LEAP) trail.length = 0;
    trail.push(end);
    while (trail.length > 0 && seconds - trail[0].at > TRAIL_SECONDS) trail.shift();
    drawTrail(paint, trail, seconds, hueOf(ship));
    if (ship.thrust && !this.#calm && Math.random() < 0.5) {
      const back = Math.atan2(-ship.vy, -ship.vx) + (Math.random() - 0.5) * 0.8;
      effects.spark(ship.x, ship.y, back, 120, hueOf(ship), 0.35, 1.6);
    }
  }

  #shot(shot, owner) {
    const paint = this.#paint;
    const color = hueOf(owner);
    stampGlow(paint, color, shot.x, shot.y, 24, 0.7);
    paint.beginPath();
    paint.moveTo(shot.x, shot.y);
    paint.lineTo(shot.x - shot.vx * 0.028, shot.y - shot.vy * 0.028);
    neon(paint, color, 3.2);
    paint.beginPath();
    paint.moveTo(shot.x, shot.y);
    paint.lineTo(shot.x - shot.vx * 0.012, shot.y - shot.vy * 0.012);
    paint.strokeStyle = '#ffffff';
    paint.lineWidth = 2.4;
    paint.stroke();
  }

  #pickup({ x, y, kind }, seconds) {
    const paint = this.#paint;
    const color = PICKUPS[kind];
    const beat = this.#calm ? 1 : 1 + 0.06 * Math.sin(seconds * 4);
    paint.globalCompositeOperation = 'lighter';
    stampGlow(paint, color, x, y, 58 * beat, 0.7);
    paint.save();
    paint.translate(x, y);
    paint.scale(beat, beat);
    paint.save();
    paint.rotate(this.#calm ? Math.PI / 4 : seconds);
    paint.beginPath();
    paint.rect(-15, -15, 30, 30);
    neon(paint, color, 2);
    paint.restore();
    paint.beginPath();
    symbol(paint, kind);
    neon(paint, '#ffffff', 2.2);
    paint.restore();
    paint.globalCompositeOperation = 'source-over';
  }
}

// A band that gets thinner and fainter with age: one piece between each two places, as wide at its ends as its neighbours.
function drawTrail(paint, trail, seconds, color) {
  paint.fillStyle = color;
  for (let index = 1; index < trail.length; index += 1) {
    const [from, to] = [trail[index - 1], trail[index]];
    const length = Math.hypot(to.x - from.x, to.y - from.y);
    if (length < 0.5) continue;
    const side = { x: -(to.y - from.y) / length, y: (to.x - from.x) / length };
    const [old, young] = [from, to].map(({ at }) => 1 - (seconds - at) / TRAIL_SECONDS);
    const [thin, wide] = [1 + 5 * old, 1 + 5 * young];
    paint.globalAlpha = 0.3 * young;
    paint.beginPath();
    paint.moveTo(from.x + side.x * thin, from.y + side.y * thin);
    paint.lineTo(to.x + side.x * wide, to.y + side.y * wide);
    paint.lineTo(to.x - side.x * wide, to.y - side.y * wide);
    paint.lineTo(from.x - side.x * thin, from.y - side.y * thin);
    paint.fill();
  }
  paint.globalAlpha = 1;
}

function symbol(paint, kind) {
  if (kind === 'repair') {
    paint.moveTo(-7, 0);
    paint.lineTo(7, 0);
    paint.moveTo(0, -7);
    paint.lineTo(0, 7);
  } else if (kind === 'spread') {
    for (const side of [-0.6, 0, 0.6]) {
      paint.moveTo(Math.sin(side) * 2, 6 - Math.cos(side) * 2);
      paint.lineTo(Math.sin(side) * 13, 6 - Math.cos(side) * 13);
    }
  } else {
    paint.arc(0, 0, 7, 0, 2 * Math.PI);
  }
}
