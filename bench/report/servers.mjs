// The servers that are measured: how each is started, and what the generator must be told to talk to it.
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

const SERVER_CORE = '0';
export const GENERATOR_CORE = '1';

/** All servers; `target` is Cargo's target directory. */
export function servers(target) {
  const peers = 'bench/peers';
  const courtside = [`${target}/release/courtside-bench-server`, '--bind', '127.0.0.1:4300'];
  return {
    lean: {
      name: 'Courtside, by itself',
      command: [...courtside, '--lean'],
      address: '127.0.0.1:4300',
      protocol: 'courtside',
    },
    mounted: {
      name: 'Courtside, mounted in actix-web',
      command: courtside,
      address: '127.0.0.1:4300',
      protocol: 'courtside',
    },
    bun: {
      name: 'Bun',
      command: [`${peers}/node_modules/.bin/bun`, `${peers}/bun.js`, '4301'],
      address: '127.0.0.1:4301',
      protocol: 'plain',
    },
    ws: {
      name: 'ws on Node',
      command: ['node', `${peers}/ws.js`, '4302'],
      address: '127.0.0.1:4302',
      protocol: 'plain',
    },
    socketio: {
      name: 'Socket.IO on Node',
      command: ['node', `${peers}/socketio.js`, '4303'],
      address: '127.0.0.1:4303',
      protocol: 'socketio',
    },
    socketioxide: {
      name: 'socketioxide on axum',
      command: [`${target}/peers/release/peer-socketioxide`, '4304'],
      address: '127.0.0.1:4304',
      protocol: 'socketio',
    },
  };
}

/** Starts a server on its core, and waits until it listens. */
export async function start(server) {
  const child = spawn('taskset', ['-c', SERVER_CORE, ...server.command], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (text) => (output += text));
  child.stderr.on('data', (text) => (output += text));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  for (let waited = 0; waited < 100; waited += 1) {
    const pid = /as process (\d+)/.exec(output)?.[1];
    if (pid) return { pid, stop: () => stop(child, Number(pid), ended) };
    if (child.exitCode !== null) break;
    await sleep(100);
  }
  child.kill('SIGKILL');
  throw new Error(`${server.name} did not start: ${server.command.join(' ')}\n${output}`);
}

async function stop(child, pid, ended) {
  // The process that listens may be another than the one that was started.
  for (const end of [() => process.kill(pid, 'SIGKILL'), () => child.kill('SIGKILL')]) {
    try {
      end();
    } catch {
      // It has ended already.
    }
  }
  await ended;
  // Its sockets are closed by then, also on the generator's side.
  await sleep(200);
}
