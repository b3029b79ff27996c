// Sends what courtside-sync-bench sends by way of `@colyseus/schema`, too, and compares how many bytes a patch has.
// Usage: node bench/sync/colyseus.mjs [--width 200]..., after `npm --prefix bench/peers ci`; CARGO_TARGET_DIR is where cargo has built it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const require = createRequire(new URL('../peers/package.json', import.meta.url));
const { Decoder, Encoder, schema, t } = require('@colyseus/schema');

const { values: options } = parseArgs({
  options: {
    width: { type: 'string', multiple: true, default: ['1000', '200'] },
    ships: { type: 'string', default: '200' },
    moving: { type: 'string', default: '50' },
    ticks: { type: 'string', default: '500' },
  },
});
const root = fileURLToPath(new URL('../..', import.meta.url));
const NUMBERS = ['x', 'y', 'angle', 'hp'];

/** What ours sends: the whole state, and then the patches, each as JSON with how many bytes it has in MessagePack. */
function record(width) {
  const args = ['run', '--release', '--quiet', '-p', 'courtside-bench', '--bin', 'courtside-sync-bench', '--', '--record'];
  for (const name of ['ships', 'moving', 'ticks']) args.push(`--${name}`, options[name]);
  const run = spawnSync('cargo', [...args, '--width', width], { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 30 });
  if (run.status !== 0) throw new Error(`courtside-sync-bench failed: ${run.stderr ?? run.error}`);
  return run.stdout.trim().split('\n').map((line) => ({ ...JSON.parse(line), jsonBytes: Buffer.byteLength(line.slice(line.indexOf('"json":') + 7, -1)) }));
}

/** The smallest of its types of a fixed size that hold all of these. */
function smallest(least, most) {
  for (const bits of [8, 16, 32]) {
    if (least >= 0 && most < 2 ** bits) return `uint${bits}`;
    if (least >= -(2 ** (bits - 1)) && most < 2 ** (bits - 1)) return `int${bits}`;
  }
  throw new Error(`no type holds ${least} to ${most}`);
}

function typesOf(steps) {
  const range = Object.fromEntries(NUMBERS.map((name) => [name, [Infinity, -Infinity]]));
  for (const { json } of steps) {
    for (const ship of Object.values(json.ships)) {
      for (const name of NUMBERS) {
        if (name in ship) range[name] = [Math.min(range[name][0], ship[name]), Math.max(range[name][1], ship[name])];
      }
    }
  }
  return Object.fromEntries(NUMBERS.map((name) => [name, smallest(...range[name])]));
}

/** The bytes of the whole state and of the patches. The state is plain data that a client has afterwards. */
function viaColyseus(steps, types) {
  const fields = Object.fromEntries(NUMBERS.map((name) => [name, t[types[name]]()]));
  const Ship = schema({ ...fields, name: t.string() }, 'Ship');
  const World = schema({ round: t.uint8(), ships: t.map(Ship) }, 'World');
  Encoder.BUFFER_SIZE = 1 << 20;
  const world = new World();
  const encoder = new Encoder(world);
  const seen = new World();
  const decoder = new Decoder(seen);
  const [first, ...patches] = steps;
  world.round = first.json.round;
  for (const [id, ship] of Object.entries(first.json.ships)) world.ships.set(id, Object.assign(new Ship(), ship));
  const whole = encoder.encodeAll();
  decoder.decode(Buffer.from(whole));
  encoder.discardChanges();
  const bytes = patches.map(({ json }) => {
    for (const [id, changes] of Object.entries(json.ships)) Object.assign(world.ships.get(id), changes);
    const patch = Buffer.from(encoder.encode());
    encoder.discardChanges();
    decoder.decode(patch);
    return patch.length;
  });
  return { whole: whole.length, bytes, state: seen.toJSON() };
}

/** The state after all patches: in this world nothing is removed. */
function merged(steps) {
  const world = structuredClone(steps[0].json);
  for (const { json } of steps.slice(1)) {
    for (const [id, changes] of Object.entries(json.ships)) Object.assign(world.ships[id], changes);
  }
  return world;
}

const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
const lock = require('./package-lock.json');
const version = lock.packages['node_modules/@colyseus/schema'].version;

for (const width of options.width) {
  const steps = record(width);
  const state = merged(steps);
  const patches = steps.slice(1);
  const ours = mean(patches.map((step) => step.msgpack));
  console.log(`${options.ships} ships in a world of ${width} by ${width}, ${options.moving} move in each of ${patches.length} ticks`);
  const line = (name, whole, patch) =>
    console.log(`  ${name.padEnd(72)} patch ${patch.toFixed(0).padStart(6)} bytes, ours ${(ours / patch).toFixed(2)} times that; whole ${whole} bytes`);
  line('Courtside, MessagePack', steps[0].msgpack, ours);
  line('Courtside, JSON', steps[0].jsonBytes, mean(patches.map((step) => step.jsonBytes)));
  const variable = Object.fromEntries(NUMBERS.map((name) => [name, 'number']));
  for (const types of [typesOf(steps), variable]) {
    const theirs = viaColyseus(steps, types);
    // Whoever sent less because it said something else would be no measure.
    assert.deepEqual(theirs.state, state);
    const named = NUMBERS.map((name) => `${name} ${types[name]}`).join(', ');
    line(`@colyseus/schema ${version}, ${types === variable ? 'number for all' : named}`, theirs.whole, mean(theirs.bytes));
  }
}
