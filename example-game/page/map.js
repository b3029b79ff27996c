// The small map: all ships, and the visible part of the arena.

import { hueOf, PICKUPS } from '/palette.js';
import { Radar } from '/radar.js';

export class Map2D {
  #canvas = document.querySelector('#map');
  #paint = this.#canvas.getContext('2d');

  #radar = new Radar();

  draw(frame, own, camera, dt) {
    const density = Math.min(2, window.devicePixelRatio || 1);
    const width = this.#canvas.clientWidth;
    if (width === 0) return;
    const { field } = frame.state;
    const height = width * field.height / field.width;
    if (this.#canvas.width !== Math.round(width * density)) {
      this.#canvas.width = Math.round(width * density);
      this.#canvas.height = Math.round(height * density);
      this.#canvas.style.height = `${height}px`;
    }
    const paint = this.#paint;
    const scale = width / field.width;
    paint.setTransform(density, 0, 0, density, 0, 0);
    paint.clearRect(0, 0, width, height);
    // Slightly smaller than the frame, so that a ship at the wall is completely visible.
    const rim = 5;
    const inside = scale * (1 - 2 * rim / width);
    paint.setTransform(density * inside, 0, 0, density * inside, density * rim, density * rim * height / width);

    paint.fillStyle = 'rgba(138, 141, 255, 0.35)';
    for (const [x, y, radius] of field.pylons) dot(paint, x, y, radius);
    paint.strokeStyle = 'rgba(255, 255, 255, 0.22)';
    paint.lineWidth = 1 / scale;
    const seen = { width: window.innerWidth / camera.scale, height: window.innerHeight / camera.scale };
    paint.strokeRect(camera.x - seen.width / 2, camera.y - seen.height / 2, seen.width, seen.height);
    for (const { x, y, kind } of frame.pickups) {
      paint.fillStyle = PICKUPS[kind];
      paint.fillRect(x - 22, y - 22, 44, 44);
    }
    for (const ship of this.#radar.dots(frame, dt).values()) {
      paint.globalAlpha = ship.ghost ? 0.4 : 1;
      paint.fillStyle = hueOf(ship);
      dot(paint, ship.x, ship.y, ship.id === own ? 46 : 34);
      if (ship.id === own) {
        paint.strokeStyle = '#ffffff';
        paint.lineWidth = 1.5 / scale;
        paint.beginPath();
        paint.arc(ship.x, ship.y, 74, 0, 2 * Math.PI);
        paint.stroke();
      }
    }
    paint.globalAlpha = 1;
  }
}

function dot(paint, x, y, radius) {
  paint.beginPath();
  paint.arc(x, y, radius, 0, 2 * Math.PI);
  paint.fill();
}
