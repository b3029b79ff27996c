// What the browser tests share: an example server on a free port, and a browser.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CHROMIUM = '/usr/bin/chromium';

/** The timeout for everything that a test waits for, in milliseconds: a wait ends with its event, or the test fails. */
export const PATIENCE = 60_000;

/** Cargo's target folder. `./test` runs in the repository's root, and a relative folder is relative to that. */
export function targetFolder() {
  return resolve(ROOT, process.env.CARGO_TARGET_DIR || 'target');
}

/**
 * Starts what a suite needs, and says how to stop all of it. If one part does not start, the others are stopped, because
 * what still runs would keep the whole run from ending.
 */
export async function startAll(...starting) {
  const settled = await Promise.allSettled(starting);
  const parts = settled.flatMap(({ value }) => value ?? []);
  const stop = async () => {
    const stopped = await Promise.allSettled(parts.map((part) => part.stop()));
    for (const { reason } of stopped) if (reason) throw reason;
  };
  const failed = settled.find(({ status }) => status === 'rejected');
  if (failed) {
    await stop().catch(() => {});
    throw failed.reason;
  }
  return { parts, stop };
}

/** Starts an example on a free port; resolves with its address, once it has printed it. */
export async function startExample(name, ...options) {
  const program = join(targetFolder(), 'debug', name);
  if (!existsSync(program)) throw new Error(`${program} is missing: cargo build --bin ${name}`);
  const child = spawn(program, ['--bind', '127.0.0.1:0', ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  const lines = createInterface({ input: child.stdout });
  let deadline;
  try {
    const url = await new Promise((resolve, reject) => {
      lines.on('line', (line) => {
        const address = line.match(/http:\/\/\S+/)?.[0];
        if (address) resolve(address.replace(/\/$/, ''));
      });
      child.on('error', reject);
      child.on('exit', (code) => reject(new Error(`${name} ended with ${code} before it said its address`)));
      deadline = setTimeout(() => reject(new Error(`${name} did not say its address within ${PATIENCE} ms`)), PATIENCE);
    });
    return { url, stop };
  } catch (failed) {
    child.kill('SIGKILL');
    throw failed;
  } finally {
    clearTimeout(deadline);
  }
}

/**
 * Starts a browser. `open` returns a page whose script errors fail the test; each page is in a context of its own, so that it is
 * another visitor, except for one opened `beside` another page. `closePages` closes the pages of a test, because each page that
 * plays draws all the time, and a slow machine has nothing left for the next test.
 */
export async function startBrowser() {
  if (!existsSync(CHROMIUM)) throw new Error(`${CHROMIUM} is missing: apt-get install chromium`);
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    headless: true,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  const errors = [];
  const contexts = [];
  const newContext = async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    contexts.push(context);
    context.setDefaultTimeout(PATIENCE);
    return context;
  };
  const open = async (url, { width, height, beside } = {}) => {
    const context = beside ? beside.context() : await newContext();
    const page = await context.newPage();
    if (width) await page.setViewportSize({ width, height });
    page.on('pageerror', (error) => errors.push(error));
    if (url) await page.goto(url);
    return page;
  };
  const closePages = async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
  };
  const stop = async () => {
    await browser.close();
    if (errors.length > 0) throw errors[0];
  };
  return { open, closePages, stop };
}

/** Opens the game in a page and takes a ship under this name. */
export async function play(browser, url, name) {
  const page = await browser.open(url);
  await page.fill('#name', name);
  await page.click('#play');
  await page.waitForFunction(() => window.arena?.ship != null && window.arena.state() != null);
  return page;
}

/** Sends a line to the chat of a page's arena. */
export const say = (page, text) => page.evaluate((line) => window.arena.room.call('chat', { text: line }), text);
