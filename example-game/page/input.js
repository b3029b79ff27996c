// Input: keyboard, mouse and touch, combined into one intent { x, y, aim, fire, dash }.

import { lerpAngle } from '/courtside.js';

const MOVES = {
  KeyW: [0, -1], ArrowUp: [0, -1], KeyS: [0, 1], ArrowDown: [0, 1],
  KeyA: [-1, 0], ArrowLeft: [-1, 0], KeyD: [1, 0], ArrowRight: [1, 0],
};
const FIRE = 'Space';
const DASH = ['ShiftLeft', 'ShiftRight'];
const STICK_REACH = 52;
const ASSIST_REACH = 760;
const SHOT_SPEED = 960;
// Automatic aim is good but not perfect, so that playing without a mouse is still a challenge: it underestimates the target's
// movement, sways, and turns at a bounded rate.
const ASSIST_LEAD = 0.4;
const ASSIST_SWAY = 0.08;
const ASSIST_TURN = 6;

export class Input {
  // False while a panel or the chat has the keyboard.
  enabled = false;
  #held = new Set();
  #mouse = { x: 0, y: 0, fire: false, dash: false };
  // With a mouse the pointer aims; with keys alone or by touch, aiming is automatic.
  #device = 'mouse';
  #stick = null;
  #touchFire = false;
  #touchDash = false;
  #aim = 0;

  constructor(canvas, onTouch) {
    window.addEventListener('keydown', (event) => this.#key(event, true));
    window.addEventListener('keyup', (event) => this.#key(event, false));
    // The page gets no event for a key that is released in another window.
    window.addEventListener('blur', () => this.release());
    canvas.addEventListener('pointermove', (event) => this.#pointer(event));
    canvas.addEventListener('pointerdown', (event) => {
      this.#pointer(event);
      if (event.pointerType === 'mouse') this.#button(event.button, true);
    });
    window.addEventListener('pointerup', (event) => {
      if (event.pointerType === 'mouse') this.#button(event.button, false);
    });
    canvas.addEventListener('contextmenu', (event) => event.preventDefault());
    this.#listenToThumbs(canvas, onTouch);
  }

  release() {
    this.#held.clear();
    this.#mouse.fire = this.#mouse.dash = false;
    this.#touchFire = this.#touchDash = false;
  }

  #key(event, down) {
    const { code } = event;
    if (!(code in MOVES) && code !== FIRE && !DASH.includes(code)) return;
    const typing = event.target.closest?.('input, textarea, button, [tabindex]');
    if (down && (!this.enabled || typing || event.ctrlKey || event.metaKey || event.altKey)) return;
    if (down) {
      event.preventDefault();
      this.#held.add(code);
      if (code === FIRE) this.#device = 'keys';
    } else {
      this.#held.delete(code);
    }
  }

  #pointer(event) {
    if (event.pointerType !== 'mouse') return;
    // Browsers report a move of a resting mouse when the page below it changes.
    if (event.movementX || event.movementY || event.buttons) this.#device = 'mouse';
    this.#mouse.x = event.clientX;
    this.#mouse.y = event.clientY;
  }

  #button(button, down) {
    if (button === 0) this.#mouse.fire = down && this.enabled;
    if (button === 2) this.#mouse.dash = down && this.enabled;
  }

  #listenToThumbs(canvas, onTouch) {
    const stick = document.querySelector('#stick');
    const knob = stick.querySelector('i');
    const show = (x, y) => {
      stick.style.setProperty('--x', `${x}px`);
      stick.style.setProperty('--y', `${y}px`);
    };
    const end = (event) => {
      if (this.#stick?.pointer !== event.pointerId) return;
      this.#stick = null;
      stick.classList.remove('held');
      knob.style.transform = '';
    };
    canvas.addEventListener('pointerdown', (event) => {
      if (event.pointerType === 'mouse') return;
      onTouch();
      this.#device = 'touch';
      // The stick is wherever the thumb touches the left half.
      if (event.clientX > window.innerWidth * 0.6 || this.#stick) return;
      this.#stick = { pointer: event.pointerId, x: event.clientX, y: event.clientY, dx: 0, dy: 0 };
      canvas.setPointerCapture(event.pointerId);
      stick.classList.add('held');
      show(event.clientX, event.clientY);
    });
    canvas.addEventListener('pointermove', (event) => {
      const held = this.#stick;
      if (held?.pointer !== event.pointerId) return;
      const dx = event.clientX - held.x;
      const dy = event.clientY - held.y;
      const reach = Math.max(1, Math.hypot(dx, dy) / STICK_REACH);
      held.dx = dx / reach / STICK_REACH;
      held.dy = dy / reach / STICK_REACH;
      knob.style.transform = `translate(${held.dx * STICK_REACH}px, ${held.dy * STICK_REACH}px)`;
    });
    canvas.addEventListener('pointerup', end);
    canvas.addEventListener('pointercancel', end);
    const hold = (id, set) => {
      const button = document.querySelector(id);
      button.addEventListener('pointerdown', (event) => {
        event.preventDefault();
        button.setPointerCapture(event.pointerId);
        this.#device = 'touch';
        set(this.enabled);
      });
      for (const type of ['pointerup', 'pointercancel', 'lostpointercapture']) button.addEventListener(type, () => set(false));
      button.addEventListener('contextmenu', (event) => event.preventDefault());
    };
    hold('#touch-fire', (down) => { this.#touchFire = down; });
    hold('#touch-dash', (down) => { this.#touchDash = down; });
  }

  // The current input; `own` is the player's ship as it is drawn, and `ships` are all ships.
  read(own, ships, scene, seconds, dt) {
    let x = 0;
    let y = 0;
    for (const code of this.#held) {
      x += MOVES[code]?.[0] ?? 0;
      y += MOVES[code]?.[1] ?? 0;
    }
    x = Math.sign(x);
    y = Math.sign(y);
    if (this.#stick) [x, y] = [this.#stick.dx, this.#stick.dy];
    const length = Math.hypot(x, y);
    if (length > 1) [x, y] = [x / length, y / length];
    if (!this.enabled) [x, y] = [0, 0];
    const fire = this.enabled && (this.#held.has(FIRE) || this.#mouse.fire || this.#touchFire);
    const dash = this.enabled && (DASH.some((code) => this.#held.has(code)) || this.#mouse.dash || this.#touchDash);
    if (own && this.enabled) this.#aim = this.#aimOf(own, ships, scene, x, y, seconds, dt);
    return { x, y, aim: this.#aim, fire, dash };
  }

  #aimOf(own, ships, scene, x, y, seconds, dt) {
    if (this.#device === 'mouse') {
      const at = scene.toArena(this.#mouse.x, this.#mouse.y);
      return Math.atan2(at.y - own.y, at.x - own.x);
    }
    let best = null;
    for (const ship of ships.values()) {
      const distance = Math.hypot(ship.x - own.x, ship.y - own.y);
      if (ship.id === own.id || ship.gone || ship.ghost || distance > ASSIST_REACH) continue;
      if (!best || distance < best.distance) best = { ship, distance };
    }
    let wanted = x || y ? Math.atan2(y, x) : this.#aim;
    if (best) {
      const { ship, distance } = best;
      const ahead = ASSIST_LEAD * distance / SHOT_SPEED;
      wanted = Math.atan2(ship.y + ship.vy * ahead - own.y, ship.x + ship.vx * ahead - own.x);
      wanted += ASSIST_SWAY * Math.sin(seconds * 4.1);
    }
    const most = ASSIST_TURN * dt;
    return this.#aim + Math.max(-most, Math.min(most, lerpAngle(0, wanted - this.#aim, 1)));
  }
}
