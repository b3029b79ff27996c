// Draws ships and what belongs to them: hull, flame, shield, name.

import { hueOf, neon, PICKUPS, stampGlow } from '/palette.js';

const FONT = 'ui-sans-serif, system-ui, "Segoe UI", Roboto, sans-serif';

export function drawShip(paint, ship, own, seconds, calm) {
  const color = hueOf(ship);
  const strength = ship.ghost ? 0.3 + 0.12 * Math.sin(seconds * 5) : 1;
  stampGlow(paint, color, ship.x, ship.y, own ? 74 : 60, 0.55 * strength);
  paint.save();
  paint.translate(ship.x, ship.y);
  paint.save();
  paint.rotate(ship.angle);
  if (ship.thrust) {
    const flame = 20 + 12 * Math.random();
    paint.beginPath();
    paint.moveTo(-11, -6);
    paint.lineTo(-11 - flame, 0);
    paint.lineTo(-11, 6);
    paint.fillStyle = '#ffe9b8';
    paint.globalAlpha = 0.85;
    paint.fill();
    neon(paint, '#ff9b3d', 1.6, 0.9);
  }
  hull(paint);
  paint.globalCompositeOperation = 'source-over';
  paint.fillStyle = own ? 'rgba(16, 24, 52, 0.9)' : 'rgba(8, 10, 26, 0.85)';
  paint.globalAlpha = strength;
  paint.fill();
  paint.globalCompositeOperation = 'lighter';
  paint.fillStyle = color;
  paint.globalAlpha = 0.26 * strength;
  paint.fill();
  if (ship.ghost) paint.setLineDash([5, 6]);
  neon(paint, color, own ? 3 : 2.4, strength);
  paint.setLineDash([]);
  paint.beginPath();
  paint.arc(2, 0, 4.2, 0, 2 * Math.PI);
  paint.fillStyle = '#ffffff';
  paint.globalAlpha = 0.9 * strength;
  paint.fill();
  paint.globalAlpha = 1;
  paint.restore();
  if (ship.spread) {
    paint.beginPath();
    for (const side of [-0.4, 0, 0.4]) {
      const angle = ship.angle + side;
      paint.moveTo(Math.cos(angle) * 32, Math.sin(angle) * 32);
      paint.lineTo(Math.cos(angle) * 40, Math.sin(angle) * 40);
    }
    neon(paint, PICKUPS.spread, 2);
  }
  if (ship.shield && !ship.ghost) {
    paint.beginPath();
    paint.arc(0, 0, 33 + (calm ? 0 : Math.sin(seconds * 7)), 0, 2 * Math.PI);
    paint.fillStyle = PICKUPS.shield;
    paint.globalAlpha = 0.09;
    paint.fill();
    neon(paint, PICKUPS.shield, 1.8, 0.9);
  }
  if (own) {
    // Make the player's own ship easy to recognise in any crowd.
    paint.beginPath();
    for (let arc = 0; arc < 4; arc += 1) {
      const start = arc * Math.PI / 2 + (calm ? 0 : seconds * 0.7);
      paint.moveTo(Math.cos(start) * 42, Math.sin(start) * 42);
      paint.arc(0, 0, 42, start, start + 0.7);
    }
    neon(paint, '#ffffff', 1.6, 0.75);
  }
  paint.restore();
}

export function drawTag(paint, ship, own, scale) {
  const text = Math.max(13, 12 / scale);
  // Above the ring around the player's ship.
  const y = ship.y - (own ? 60 : 46);
  paint.textAlign = 'center';
  paint.font = `${own ? 700 : 600} ${text}px ${FONT}`;
  paint.globalAlpha = ship.ghost ? 0.55 : 0.95;
  paint.lineWidth = 4;
  paint.strokeStyle = 'rgba(4, 6, 18, 0.8)';
  const name = ship.ghost ? `${ship.name} · away` : ship.name;
  paint.strokeText(name, ship.x, y);
  paint.fillStyle = own ? '#ffffff' : hueOf(ship);
  paint.fillText(name, ship.x, y);
  paint.globalAlpha = 1;
  if (ship.hull < 100 && !ship.ghost) {
    const width = 46;
    paint.fillStyle = 'rgba(4, 6, 18, 0.75)';
    paint.fillRect(ship.x - width / 2 - 1, y + 6, width + 2, 6);
    paint.fillStyle = ship.hull > 35 ? hueOf(ship) : '#ff5f5f';
    paint.fillRect(ship.x - width / 2, y + 7, width * ship.hull / 100, 4);
  }
}

function hull(paint) {
  paint.beginPath();
  paint.moveTo(27, 0);
  paint.lineTo(-4, 10);
  paint.lineTo(-18, 20);
  paint.lineTo(-11, 0);
  paint.lineTo(-18, -20);
  paint.lineTo(-4, -10);
  paint.closePath();
}
