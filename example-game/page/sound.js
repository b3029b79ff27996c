// Sounds from oscillators and noise.

let audio = null;
let out = null;
let noise = null;
let on = localStorage.getItem('sound') !== 'off';

export const soundOn = () => on;

export function toggleSound() {
  on = !on;
  localStorage.setItem('sound', on ? 'on' : 'off');
  return on;
}

// Browsers allow sound only after a user action: call this from a click.
export function wakeSound() {
  if (audio || !on || !window.AudioContext) return;
  audio = new AudioContext();
  out = audio.createGain();
  out.gain.value = 0.16;
  out.connect(audio.destination);
  noise = audio.createBuffer(1, audio.sampleRate * 0.6, audio.sampleRate);
  const samples = noise.getChannelData(0);
  for (let index = 0; index < samples.length; index += 1) samples[index] = Math.random() * 2 - 1;
}

function fade(volume, seconds) {
  const gain = audio.createGain();
  gain.gain.setValueAtTime(volume, audio.currentTime);
  gain.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + seconds);
  gain.connect(out);
  return gain;
}

function tone(shape, from, to, seconds, volume) {
  const source = audio.createOscillator();
  source.type = shape;
  source.frequency.setValueAtTime(from, audio.currentTime);
  source.frequency.exponentialRampToValueAtTime(to, audio.currentTime + seconds);
  source.connect(fade(volume, seconds));
  source.start();
  source.stop(audio.currentTime + seconds);
}

function rumble(seconds, volume, pitch) {
  const source = audio.createBufferSource();
  source.buffer = noise;
  source.playbackRate.value = pitch;
  source.connect(fade(volume, seconds));
  source.start();
  source.stop(audio.currentTime + seconds);
}

// Each takes how near it is, from 0 to 1.
const SOUNDS = {
  shot: (near) => tone('square', 880, 210, 0.09, 0.22 * near),
  hit: (near) => rumble(0.08, 0.5 * near, 1.2),
  boom: (near) => { rumble(0.55, 1.1 * near, 0.35); tone('sine', 120, 34, 0.5, 0.9 * near); },
  pickup: () => { tone('triangle', 520, 1040, 0.16, 0.5); },
  fight: () => { tone('sawtooth', 220, 440, 0.3, 0.3); },
  over: () => { tone('triangle', 660, 330, 0.6, 0.5); },
};

export function play(name, near = 1) {
  if (!on || !audio || near < 0.05) return;
  SOUNDS[name](near);
}
