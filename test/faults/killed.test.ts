import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openConsole, refreshUntil, startConsole } from '../e2e/helpers/console.js';
import { addTraces } from '../e2e/helpers/console-rows.js';
import type { TerminalDriver } from '../e2e/helpers/terminal.js';
import { startPgbouncer } from '../helpers/pgbouncer.js';
import { startPrivateServer, type PrivateServer } from '../helpers/private-server.js';
import { Proxy } from '../helpers/proxy.js';
import { runOnce } from '../helpers/template.js';

const size = { cols: 200, rows: 60 };
const startsWithin = 60_000;

let server: PrivateServer;
let databases = 0;

beforeAll(async () => {
  server = await startPrivateServer();
});

afterAll(() => server.remove());

async function databaseWith(traces: number): Promise<string> {
  databases += 1;
  const url = await server.createDatabase(`killed_${databases}`);
  await add(url, traces);
  return url;
}

async function add(connectionString: string, traces: number): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await addTraces(client, traces);
  await client.end();
}

const ofConsoles = `SELECT pid FROM pg_stat_activity
  WHERE datname = current_database() AND application_name = 'trace-console'`;

const isConnected = (lines: string[]) => lines[0]?.includes('● connected') === true;
const isLost = (lines: string[]) => lines[0]?.includes('no connection') === true;

/** Everything is read again, with the rows that came meanwhile. */
async function isBack(driver: TerminalDriver, traces: number): Promise<void> {
  await refreshUntil(driver, (lines) => {
    const text = lines.join('\n');
    return isConnected(lines) && text.includes(`${traces} in 1h`) && !/ as of \d/.test(text);
  });
}

describe('kill -9', () => {
  it('of a backend: the server ends all sessions, and the console is back with new rows', async () => {
    const url = await databaseWith(4);
    const driver = await openConsole(url, size);
    const [backend] = await runOnce<{ pid: number }>(url, ofConsoles);
    process.kill(backend?.pid ?? 0, 'SIGKILL');
    await expect
      .poll(() => server.log(), { timeout: startsWithin })
      .toMatch(/was terminated by signal 9/);
    await expect
      .poll(
        () =>
          add(url, 2).then(
            () => 'added',
            () => 'away',
          ),
        { timeout: startsWithin },
      )
      .toBe('added');
    await isBack(driver, 6);
    driver.press('q');
    expect((await driver.waitForExit()).exitCode).toBe(0);
  });

  it('of the pooler: "no connection" until it is there again', async () => {
    const url = await databaseWith(4);
    const pooler = await startPgbouncer(server);
    const driver = await openConsole(pooler.url(new URL(url).pathname.slice(1)), size);
    await pooler.end('SIGKILL');
    await driver.waitFor(isLost, 30_000);
    await driver.waitFor(/1 Recent traces ━+ as of \d+s ago/);
    await pooler.start();
    await add(url, 2);
    await isBack(driver, 6);
    await pooler.stop();
  });

  it('of the console: its sessions end, the recording can be played, the next one opens', async () => {
    const url = await databaseWith(4);
    const folder = mkdtempSync(join(tmpdir(), 'trace-console-killed-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const recording = join(folder, 'incident.jsonl');
    const env = { XDG_STATE_HOME: folder };
    const driver = await openConsole(url, { ...size, env, args: ['--record', recording] });
    await refreshUntil(driver, '4 in 1h');
    driver.press('2z');
    await driver.waitFor((lines) => !lines.join().includes('1 Recent traces'));
    // Frames are written some moments after they were drawn.
    const recorded = () => readFileSync(recording, 'utf8');
    await expect.poll(recorded, { timeout: 30_000 }).toContain('policy-guard');
    driver.kill('SIGKILL');
    await driver.exited;
    await expect.poll(() => runOnce(url, ofConsoles), { timeout: 30_000 }).toEqual([]);
    const replay = startConsole(undefined, { ...size, args: ['replay', recording] });
    await replay.waitFor('RECORDING', startsWithin);
    await replay.waitFor('4 in 1h');
    const next = await openConsole(url, { ...size, env });
    await next.waitFor('policy-guard');
  });
});

it('a network that resets connections again and again: the console goes on, and says so while it lasts', async () => {
  const url = await databaseWith(4);
  const proxy = await Proxy.start(server);
  const driver = await openConsole(proxy.through(url), size);
  // So often that no connection comes to be: one that did would be shown, for some moments.
  const resets = setInterval(() => proxy.reset(), 10);
  try {
    await driver.waitFor(isLost, 30_000);
    await driver.waitFor(/ as of \d+s ago/, 30_000);
  } finally {
    clearInterval(resets);
  }
  await add(url, 2);
  await isBack(driver, 6);
  driver.press('q');
  expect((await driver.waitForExit()).exitCode).toBe(0);
  await proxy.stop();
});
