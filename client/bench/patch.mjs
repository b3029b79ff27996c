// How long the client takes for one patch of a world, from the frame to the page's listener: `npm run bench`.
// Runs the committed bundle, as a page does. Each row has its own process, as each page has.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { connect } from '../../framework/assets/courtside.js';

const ENTITIES = 200;
const MOVING = 50;
const ROUNDS = 40;
const PATCHES = 500;

const utf8 = new TextEncoder();

/** Writes MessagePack. A `Map` is an object whose keys are in its order and may be numbers. */
function pack(value, out = []) {
  const head = (few, many, count) => (count < 16 ? out.push(few | count) : out.push(many, count >> 8, count & 255));
  if (value === null) out.push(0xc0);
  else if (typeof value === 'boolean') out.push(value ? 0xc3 : 0xc2);
  else if (Number.isInteger(value) && value >= 0) {
    if (value < 128) out.push(value);
    else if (value < 65536) out.push(0xcd, value >> 8, value & 255);
    else out.push(0xce, value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255);
  } else if (typeof value === 'number') {
    const view = new DataView(new ArrayBuffer(4));
    view.setFloat32(0, value);
    out.push(0xca, ...new Uint8Array(view.buffer));
  } else if (typeof value === 'string') {
    const bytes = utf8.encode(value);
    if (bytes.length < 32) out.push(0xa0 | bytes.length, ...bytes);
    else out.push(0xd9, bytes.length, ...bytes);
  } else if (Array.isArray(value)) {
    head(0x90, 0xdc, value.length);
    for (const each of value) pack(each, out);
  } else {
    const entries = value instanceof Map ? [...value] : Object.entries(value);
    head(0x80, 0xde, entries.length);
    for (const [key, each] of entries) {
      pack(key, out);
      pack(each, out);
    }
  }
  return out;
}

const frames = {
  json: (event) => JSON.stringify(event),
  msgpack: (event) => new Uint8Array(pack(event)).buffer,
};

/** A client whose server is this script. */
async function joined(format) {
  let socket;
  class Socket {
    constructor() {
      socket = this;
    }
    send(frame) {
      this.last = frame;
    }
    close() {}
  }
  const client = connect('ws://bench.test/ws', { format, WebSocket: Socket });
  const tell = (event) => socket.onmessage({ data: frames[format](event) });
  tell({ event: 'welcome', protocol: 1, session: 's', resume: 't', resumed: false, received: 0, time: 0, ping_ms: 1e9, window_ms: 1e9 });
  const joining = client.join('world');
  // The first request after the first ping.
  tell({ event: 'joined', id: 2, room: 'r', kind: 'world', member: 1 });
  return { client, room: await joining, tell, hear: (data) => socket.onmessage({ data }) };
}

const idOf = { counted: (n) => String(n + 1), scattered: (n) => String(1000 + n * 7919), texts: (n) => `e${n}` };
const position = (n, tick) => ({ x: (n * 37 + tick * 3.25) % 2000 + 0.125, y: (n * 91 + tick * 1.5) % 2000 + 0.375, angle: (tick * 0.03125) % 6 });

async function measure(format, ids, listen) {
  const { client, room, tell, hear } = await joined(format);
  const id = idOf[ids];
  const ships = Object.fromEntries(Array.from({ length: ENTITIES }, (_, n) => [id(n), { ...position(n, 0), hp: 100, name: `ship ${n}` }]));
  const keys = ['x', 'y', 'angle', 'hp', 'name', ...Object.keys(ships), 'ships'];
  const index = new Map(keys.map((key, n) => [key, n]));
  const named = (value) => (typeof value === 'object' ? new Map(Object.entries(value).map(([key, each]) => [index.get(key), named(each)])) : value);
  let bytes;
  let told = 0;
  const times = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    tell({ event: 'state', room: 'r', tick: 0, ...(format === 'msgpack' && { keys }), data: { ships } });
    const patches = Array.from({ length: PATCHES }, (_, n) => {
      const moved = Array.from({ length: MOVING }, (_, m) => (m * 4 + n) % ENTITIES);
      const data = { ships: Object.fromEntries(moved.map((m) => [id(m), position(m, n + 1)])) };
      return frames[format]({ event: 'patch', room: 'r', tick: n + 1, base: n, data: format === 'msgpack' ? named(data) : data });
    });
    if (round === 0 && listen) room.onEntities(['ships'], { changed: () => (told += 1) });
    await null;
    const from = performance.now();
    for (const frame of patches) hear(frame);
    times.push(((performance.now() - from) * 1000) / PATCHES);
    if (room.tick !== PATCHES) throw new Error(`the state is that of tick ${room.tick}`);
    bytes = patches[0].length ?? patches[0].byteLength;
  }
  if (listen && told < ROUNDS * PATCHES * MOVING) throw new Error(`only ${told} changes were told`);
  const ending = times.slice(ROUNDS / 2).sort((a, b) => a - b);
  client.cut(1e9);
  client.close();
  return { bytes, median: ending[ending.length >> 1], least: ending[0] };
}

const [format, ids, listen] = process.argv.slice(2);
if (format) {
  const { bytes, median, least } = await measure(format, ids, listen === 'entities');
  console.log(`${format.padEnd(9)}${ids.padEnd(11)}${listen.padEnd(9)}${String(bytes).padStart(7)}${median.toFixed(1).padStart(8)}${least.toFixed(1).padStart(8)}`);
} else {
  console.log(`A patch of a world of ${ENTITIES} entities, of which ${MOVING} moved (x, y, angle): from the frame to the listener, in µs, Node ${process.version}`);
  console.log('format   ids        listens    bytes  median   least');
  for (const format of ['msgpack', 'json']) {
    for (const ids of Object.keys(idOf)) {
      for (const listen of ['-', 'entities']) execFileSync(process.execPath, [fileURLToPath(import.meta.url), format, ids, listen], { stdio: 'inherit' });
    }
  }
}
