// The colours of the ships, and glows that are painted once and reused.

// Indexed by the hue that the server assigns to each ship.
export const HUES = [
  '#37e6ff', '#ff4fa3', '#ffd447', '#7dff6b', '#b18bff', '#ff8a3d',
  '#5aa2ff', '#ff6262', '#3dffc0', '#f27bff', '#d7ff4a', '#ffb3a0',
];
export const PICKUPS = { repair: '#7dff6b', spread: '#ffd447', shield: '#5ad1ff' };

export const hueOf = (ship) => HUES[(ship?.hue ?? 0) % HUES.length];

const GLOW = 64;
const glows = new Map();

// A soft round spot of a colour. A canvas shadow would look the same but cost a blur for each drawing.
export function glow(color) {
  let spot = glows.get(color);
  if (!spot) {
    spot = document.createElement('canvas');
    spot.width = spot.height = 2 * GLOW;
    const paint = spot.getContext('2d');
    const shade = paint.createRadialGradient(GLOW, GLOW, 0, GLOW, GLOW, GLOW);
    shade.addColorStop(0, `${color}cc`);
    shade.addColorStop(0.3, `${color}55`);
    shade.addColorStop(0.65, `${color}18`);
    shade.addColorStop(1, `${color}00`);
    paint.fillStyle = shade;
    paint.fillRect(0, 0, 2 * GLOW, 2 * GLOW);
    glows.set(color, spot);
  }
  return spot;
}

export function stampGlow(paint, color, x, y, radius, strength = 1) {
  paint.globalAlpha = strength;
  paint.drawImage(glow(color), x - radius, y - radius, 2 * radius, 2 * radius);
  paint.globalAlpha = 1;
}

// Draws the current path as a neon tube: wide and faint below, thin and bright above.
export function neon(paint, color, width = 2, strength = 1) {
  paint.strokeStyle = color;
  for (const [factor, alpha] of [[5, 0.10], [2.6, 0.22], [1, 1]]) {
    paint.lineWidth = width * factor;
    paint.globalAlpha = alpha * strength;
    paint.stroke();
  }
  paint.globalAlpha = 1;
}
