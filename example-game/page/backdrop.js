// The background: a nebula, stars in three depths, and the ground with its walls and pylons.

import { neon, stampGlow } from '/palette.js';

const TILE = 900;
const CLOUDS = [
  ['#3b1d8f', 0.18, 0.22, 0.75], ['#0b4f8a', 0.82, 0.3, 0.7], ['#7a1258', 0.62, 0.92, 0.6], ['#06303f', 0.1, 0.9, 0.55],
];

// A fixed seed, so that the sky does not change with a reload.
function sequence(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
}

const random = sequence(7);
const LAYERS = [[0.12, 120, 1], [0.28, 70, 1.5], [0.5, 26, 2.3]].map(([depth, count, size]) => ({
  depth,
  size,
  stars: Array.from({ length: count }, () => [random() * TILE, random() * TILE, 0.35 + 0.65 * random(), random() * 6]),
}));

let sky = null;

// The nebula is soft, so it is painted small, once per window size, and stretched.
function paintSky(width, height) {
  sky = document.createElement('canvas');
  sky.width = Math.ceil(width / 4);
  sky.height = Math.ceil(height / 4);
  sky.for = `${width}x${height}`;
  const paint = sky.getContext('2d');
  paint.fillStyle = '#05060f';
  paint.fillRect(0, 0, sky.width, sky.height);
  for (const [color, x, y, size] of CLOUDS) {
    const radius = size * Math.max(sky.width, sky.height) * 0.6;
    const shade = paint.createRadialGradient(x * sky.width, y * sky.height, 0, x * sky.width, y * sky.height, radius);
    shade.addColorStop(0, `${color}88`);
    shade.addColorStop(1, `${color}00`);
    paint.fillStyle = shade;
    paint.fillRect(0, 0, sky.width, sky.height);
  }
}

export function drawSky(paint, width, height, camera, seconds, calm) {
  if (sky?.for !== `${width}x${height}`) paintSky(width, height);
  paint.drawImage(sky, 0, 0, width, height);
  paint.fillStyle = '#dfe8ff';
  for (const { depth, size, stars } of LAYERS) {
    const left = -(((camera.x * depth) % TILE) + TILE) % TILE;
    const top = -(((camera.y * depth) % TILE) + TILE) % TILE;
    for (let tileX = left; tileX < width; tileX += TILE) {
      for (let tileY = top; tileY < height; tileY += TILE) {
        for (const [x, y, bright, phase] of stars) {
          const twinkle = calm ? 1 : 0.75 + 0.25 * Math.sin(seconds * 1.7 + phase);
          paint.globalAlpha = bright * twinkle;
          paint.fillRect(tileX + x, tileY + y, size, size);
        }
      }
    }
  }
  paint.globalAlpha = 1;
}

const CELL = 100;

export function drawField(paint, field, seconds, calm) {
  const { width, height } = field;
  paint.fillStyle = 'rgba(80, 120, 255, 0.028)';
  paint.fillRect(0, 0, width, height);
  paint.beginPath();
  for (let x = CELL; x < width; x += CELL) {
    paint.moveTo(x, 0);
    paint.lineTo(x, height);
  }
  for (let y = CELL; y < height; y += CELL) {
    paint.moveTo(0, y);
    paint.lineTo(width, y);
  }
  paint.strokeStyle = 'rgba(110, 150, 255, 0.10)';
  paint.lineWidth = 1;
  paint.stroke();

  paint.globalCompositeOperation = 'lighter';
  paint.beginPath();
  paint.rect(0, 0, width, height);
  neon(paint, '#4d7cff', 4);
  drawCorners(paint, width, height);
  for (const [x, y, radius] of field.pylons) drawPylon(paint, x, y, radius, calm ? 0 : seconds);
  paint.globalCompositeOperation = 'source-over';
}

function drawCorners(paint, width, height) {
  const arm = 90;
  paint.beginPath();
  for (const [x, y, sx, sy] of [[0, 0, 1, 1], [width, 0, -1, 1], [0, height, 1, -1], [width, height, -1, -1]]) {
    paint.moveTo(x + sx * 16, y + sy * (arm + 16));
    paint.lineTo(x + sx * 16, y + sy * 16);
    paint.lineTo(x + sx * (arm + 16), y + sy * 16);
  }
  neon(paint, '#ff4fa3', 2.5, 0.8);
}

function drawPylon(paint, x, y, radius, seconds) {
  stampGlow(paint, '#5a6bff', x, y, radius * 1.9, 0.45);
  paint.globalCompositeOperation = 'source-over';
  paint.beginPath();
  paint.arc(x, y, radius, 0, 2 * Math.PI);
  paint.fillStyle = 'rgba(9, 12, 34, 0.92)';
  paint.fill();
  paint.globalCompositeOperation = 'lighter';
  neon(paint, '#8a8dff', 3);
  // A hexagon and a broken ring turn against each other inside.
  paint.beginPath();
  for (let corner = 0; corner <= 6; corner += 1) {
    const angle = corner * Math.PI / 3 + seconds * 0.15;
    paint.lineTo(x + Math.cos(angle) * radius * 0.72, y + Math.sin(angle) * radius * 0.72);
  }
  neon(paint, '#5a6bff', 1.5, 0.7);
  paint.beginPath();
  for (let arc = 0; arc < 3; arc += 1) {
    const start = arc * 2 * Math.PI / 3 - seconds * 0.4;
    paint.moveTo(x + Math.cos(start) * radius * 0.4, y + Math.sin(start) * radius * 0.4);
    paint.arc(x, y, radius * 0.4, start, start + 1.3);
  }
  neon(paint, '#37e6ff', 1.5, 0.8);
}
