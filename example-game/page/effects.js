// Sparks, rings, flashes and rising numbers, which do no harm when they are lost.

import { stampGlow } from '/palette.js';

const MOST_SPARKS = 700;

export class Effects {
  // How strongly the picture shakes, from 0 to 1.
  shake = 0;
  #sparks = [];
  #rings = [];
  #flashes = [];
  #numbers = [];
  #waiting = [];
  #calm;

  // For visitors who prefer reduced motion: fewer sparks, no flash, no shaking.
  constructor(calm) {
    this.#calm = calm;
  }

  // The server's events are newer than the drawn picture: an effect waits until the picture has reached its time.
  at(tick, show) {
    if (this.#waiting.length < 200) this.#waiting.push({ tick, show });
  }

  clear() {
    this.#sparks = [];
    this.#waiting = [];
  }

  spark(x, y, angle, speed, color, life = 0.5, size = 2) {
    if (this.#sparks.length >= MOST_SPARKS) this.#sparks.shift();
    this.#sparks.push({ x, y, vx: Math.cos(angle) * speed, vy: Math.sin(angle) * speed, color, life, age: 0, size });
  }

  #spray(count, x, y, color, speed, life, size) {
    const some = this.#calm ? Math.ceil(count / 3) : count;
    for (let one = 0; one < some; one += 1) {
      this.spark(x, y, Math.random() * 2 * Math.PI, speed * (0.15 + Math.random()), color, life * (0.4 + Math.random()), size);
    }
  }

  ring(x, y, color, radius, life = 0.5) {
    this.#rings.push({ x, y, color, radius, life, age: 0 });
  }

  number(x, y, text, color) {
    this.#numbers.push({ x, y, text, color, age: 0 });
  }

  hit(x, y, color, absorbed) {
    this.#spray(absorbed ? 5 : 10, x, y, absorbed ? '#9fe8ff' : color, 260, 0.32, 2);
    this.#flash(x, y, absorbed ? '#9fe8ff' : '#ffffff', 34, 0.12);
  }

  explosion(x, y, color, near) {
    this.#spray(46, x, y, color, 420, 0.8, 2.6);
    this.#spray(22, x, y, '#ffffff', 260, 0.5, 2);
    this.ring(x, y, color, 150, 0.6);
    this.ring(x, y, '#ffffff', 80, 0.35);
    this.#flash(x, y, color, 210, 0.45);
    if (!this.#calm) this.shake = Math.max(this.shake, near);
  }

  muzzle(x, y, angle, color) {
    for (let one = 0; one < 3; one += 1) {
      this.spark(x, y, angle + (Math.random() - 0.5) * 0.7, 200 + 200 * Math.random(), color, 0.16, 2);
    }
  }

  arrival(x, y, color) {
    this.ring(x, y, color, 70, 0.5);
    this.#spray(14, x, y, color, 160, 0.5, 2);
  }

  #flash(x, y, color, radius, life) {
    if (!this.#calm) this.#flashes.push({ x, y, color, radius, life, age: 0 });
  }

  step(tick, dt) {
    const due = this.#waiting.filter((waiting) => waiting.tick <= tick);
    if (due.length > 0) {
      this.#waiting = this.#waiting.filter((waiting) => waiting.tick > tick);
      for (const { show } of due) show();
    }
    this.shake = Math.max(0, this.shake - dt * 1.8);
    const slow = Math.exp(-2.4 * dt);
    for (const spark of this.#sparks) {
      spark.x += spark.vx * dt;
      spark.y += spark.vy * dt;
      spark.vx *= slow;
      spark.vy *= slow;
    }
    const young = (one) => (one.age += dt) < (one.life ?? 1.1);
    this.#sparks = this.#sparks.filter(young);
    this.#rings = this.#rings.filter(young);
    this.#flashes = this.#flashes.filter(young);
    this.#numbers = this.#numbers.filter(young);
  }

  draw(paint) {
    paint.globalCompositeOperation = 'lighter';
    paint.lineCap = 'round';
    for (const { x, y, color, radius, life, age } of this.#flashes) {
      stampGlow(paint, color, x, y, radius, 1 - age / life);
    }
    for (const { x, y, color, radius, life, age } of this.#rings) {
      const grown = 1 - (1 - age / life) ** 3;
      paint.globalAlpha = 1 - age / life;
      paint.strokeStyle = color;
      paint.lineWidth = 1 + 5 * (1 - age / life);
      paint.beginPath();
      paint.arc(x, y, radius * grown, 0, 2 * Math.PI);
      paint.stroke();
    }
    for (const { x, y, vx, vy, color, life, age, size } of this.#sparks) {
      paint.globalAlpha = 1 - age / life;
      paint.strokeStyle = color;
      paint.lineWidth = size;
      paint.beginPath();
      paint.moveTo(x, y);
      paint.lineTo(x - vx * 0.03, y - vy * 0.03);
      paint.stroke();
    }
    paint.globalCompositeOperation = 'source-over';
    paint.textAlign = 'center';
    paint.font = '700 20px ui-monospace, Menlo, Consolas, monospace';
    for (const { x, y, text, color, age } of this.#numbers) {
      paint.globalAlpha = Math.max(0, 1 - age / 1.1);
      paint.fillStyle = color;
      paint.fillText(text, x, y - 30 - 46 * age);
    }
    paint.globalAlpha = 1;
  }
}
