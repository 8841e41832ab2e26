import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { stopEmbedded } from '../../src/embedded/running.js';
import { testPrograms } from '../embedded/programs.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { startBlockedReindex } from './helpers/blocked-reindex.js';
import { expectIntact, startConsole } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';
import type { TerminalDriver } from './helpers/terminal.js';

function folderMade(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-connections-'));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function configMade(toml: string): string {
  const file = path.join(folderMade(), 'config.toml');
  fs.writeFileSync(file, toml, { mode: 0o600 });
  return file;
}

async function databaseWith(traces: number): Promise<TestDatabase> {
  const database = await createTestDatabase();
  await addTraces(database, traces);
  return database;
}

/** Connections of consoles to a database. */
async function consolesOn(database: TestDatabase): Promise<number> {
  const { rows } = await database.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'trace-console'`,
  );
  return rows[0]?.n ?? 0;
}

/** Types a command once the prompt is there, and does it once it is what Enter does. */
async function command(driver: TerminalDriver, text: string): Promise<void> {
  driver.press(':');
  await driver.waitFor('Tab completes');
  driver.press(text);
  await driver.waitFor(`:${text}█`);
  driver.press('\r');
}

/** The panes of a database with so many traces, under the name of its connection. */
const shows = (name: string, traces: number) => (lines: string[]) =>
  lines[0]?.includes(` ${name} `) === true &&
  lines[0].includes('● connected') &&
  lines.join('\n').includes(`${traces} in 1h`);

describe('going to another database from within', () => {
  it('shows nothing of the old one under the new name, closes it, and records each in a file', async () => {
    const [left, right] = await Promise.all([databaseWith(3), databaseWith(7)]);
    const config = configMade(
      `[connections.left]\nurl = "${left.url}"\ninterval = "1s"\n` +
        `[connections.right]\nurl = "${right.url}"\nread-only = true\ncolour = "green"\ninterval = "5s"\n`,
    );
    const recording = path.join(folderMade(), 'incident.jsonl');
    const args = ['left', '--config', config, '--record', recording];
    const driver = startConsole(undefined, { args, cols: 200, rows: 60 });
    const mixed: string[] = [];
    driver.emulator.onWriteParsed(() => {
      const [header = '', ...body] = driver.screen();
      if (header.includes(' right ') && body.join().includes('3 in 1h')) mixed.push(header);
      if (header.includes(' left ') && body.join().includes('7 in 1h')) mixed.push(header);
    });
    await driver.waitFor(shows('left', 3));
    driver.press('/failed');
    await driver.waitFor('/failed');
    driver.press('\r');
    await command(driver, 'connect right');
    await driver.waitFor(shows('right', 7));
    await driver.waitFor(/READ-ONLY .*\n.*every 5s/);
    // What was looked for in the rows of the other one is not looked for here.
    expect(driver.text()).not.toContain('/failed');
    expectIntact(driver, { cols: 200, rows: 60 });
    await expect.poll(() => consolesOn(left), { timeout: 50_000 }).toBe(0);
    driver.press('a');
    await driver.waitFor('read-only');

    driver.press('C');
    await driver.waitFor(/┏━ Connections[\s\S]*left [\s\S]*● +right +read-only[\s\S]*embedded/);
    driver.press('g\r');
    await driver.waitFor(shows('left', 3));
    await driver.waitFor('every 1s');
    expect(driver.screen()[0]).not.toContain('READ-ONLY');
    await expect.poll(() => consolesOn(right), { timeout: 50_000 }).toBe(0);
    expect(mixed).toEqual([]);

    driver.press('q');
    expect((await driver.waitForExit()).exitCode).toBe(0);
    const folder = path.dirname(recording);
    const places = fs.readdirSync(folder).map((name) => {
      const [header = ''] = fs.readFileSync(path.join(folder, name), 'utf8').split('\n');
      const { place } = JSON.parse(header) as { place: { database: string } };
      return [name, place.database];
    });
    expect(Object.fromEntries(places)).toEqual({
      'incident.jsonl': left.name,
      'incident.right.jsonl': right.name,
      'incident.left.jsonl': left.name,
    });
  });

  it('stays where it is when the other cannot be reached, names it never with its password, and tries again', async () => {
    const here = await databaseWith(3);
    const silent = net.createServer((socket) => void socket.on('error', () => undefined));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void silent.close());
    const address = silent.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const config = configMade(
      '[connections.dead]\nurl = "postgresql://someone:hunter2@127.0.0.1:1/nowhere"\n' +
        `[connections.silent]\nurl = "postgresql://someone@127.0.0.1:${port}/nowhere"\n`,
    );
    const driver = startConsole(here.url, { args: ['--config', config], cols: 120, rows: 35 });
    let wasSecret = true;
    driver.emulator.onWriteParsed(() => (wasSecret &&= !driver.text().includes('hunter2')));
    await driver.waitFor('3 in 1h');
    await command(driver, 'connect daed');
    await driver.waitFor('There is no connection "daed"; did you mean dead?');
    await command(driver, 'connect');
    await driver.waitFor(/┏━ Connections[\s\S]*dead +someone@nowhere on 127.0.0.1:1/);
    driver.press('j\r');
    await driver.waitFor('┏━ dead cannot be opened');
    expect(driver.screen()[0]).toMatch(/ dead +○ no connection/);
    expect(driver.text()).toContain('Nothing accepts connections at 127.0.0.1:1');
    expect(driver.text()).toContain(`Esc: back to postgres@${here.name}`);
    expect(driver.text()).not.toContain('3 in 1h');
    driver.press('r');
    await driver.waitFor('┏━ dead cannot be opened');
    driver.press('\x1b');
    await driver.waitFor('3 in 1h');
    await driver.waitFor((lines) => lines[0]?.includes('● connected') === true);
    await addTraces(here, 2);
    driver.press('\x12');
    await driver.waitFor('5 in 1h');
    // What does not answer is not waited for either.
    await command(driver, 'connect silent');
    await driver.waitFor('┏━ Connecting to silent');
    expect(driver.screen()[0]).toMatch(/ silent +○ connecting/);
    driver.press('\x1b');
    await driver.waitFor('5 in 1h');
    expect(wasSecret).toBe(true);
  });

  it('twenty times leaves nothing open behind it', async () => {
    const [left, right] = await Promise.all([databaseWith(3), databaseWith(7)]);
    const config = configMade(
      `[connections.left]\nurl = "${left.url}"\n[connections.right]\nurl = "${right.url}"\n`,
    );
    const driver = startConsole(undefined, { args: ['left', '--config', config] });
    await driver.waitFor(shows('left', 3));
    const filesOpen = () => fs.readdirSync(`/proc/${driver.pid}/fd`).length;
    let filesAtFirst = 0;
    for (let round = 0; round < 10; round += 1) {
      await command(driver, 'connect right');
      await driver.waitFor(shows('right', 7));
      await command(driver, 'connect left');
      await driver.waitFor(shows('left', 3));
      if (round === 0) filesAtFirst = filesOpen();
    }
    await expect.poll(() => consolesOn(right), { timeout: 50_000 }).toBe(0);
    expect(await consolesOn(left)).toBeLessThanOrEqual(5);
    // The pool has five connections; which of them are open now is the moment's.
    await expect.poll(filesOpen, { timeout: 50_000 }).toBeLessThanOrEqual(filesAtFirst + 5);
  });

  it('asks what becomes of a running action, and goes on when that has ended', async () => {
    const [left, right] = await Promise.all([databaseWith(3), databaseWith(7)]);
    const config = configMade(
      `[connections.left]\nurl = "${left.url}"\n[connections.right]\nurl = "${right.url}"\n`,
    );
    const driver = startConsole(undefined, { args: ['left', '--config', config], cols: 120 });
    await driver.waitFor(shows('left', 3));
    const { holder } = await startBlockedReindex(left, driver);
    driver.press('C');
    await driver.waitFor('┏━ Connections');
    driver.press('j\r');
    await driver.waitFor('┏━ Connect to right?');
    driver.press('\r');
    await driver.waitFor((lines) => !lines.join().includes('Connect to right?'));
    driver.press('C');
    await driver.waitFor('┏━ Connections');
    driver.press('j\r');
    await driver.waitFor('cancel it, clean up, and connect to right');
    driver.press('y');
    await driver.waitFor('connects to right when it has cleaned up');
    expect(driver.screen()[0]).toContain(' left ');
    await holder.end();
    await driver.waitFor(shows('right', 7));
  });

  it('leads to the embedded database and back', async () => {
    await testPrograms();
    const home = folderMade();
    onTestFinished(async () => {
      await stopEmbedded(path.join(home, 'trace-console/embedded'));
    });
    const server = await databaseWith(3);
    const config = configMade(`[connections.server]\nurl = "${server.url}"\n`);
    const args = ['server', '--config', config];
    const driver = startConsole(undefined, { args, env: { XDG_DATA_HOME: home } });
    await driver.waitFor(shows('server', 3));
    await command(driver, 'connect embedded');
    await driver.waitFor(/on this machine .*● connected[\s\S]*0 in 1h/, 120_000);
    await expect.poll(() => consolesOn(server), { timeout: 50_000 }).toBe(0);
    await command(driver, 'connect server');
    await driver.waitFor(shows('server', 3));
  }, 240_000);

  it('creates the schema there when it is asked to, as at the start', async () => {
    const left = await databaseWith(3);
    const bare = await createTestDatabase({ schema: false });
    await bare.query('CREATE TABLE somebody_else (id int)');
    const config = configMade(
      `[connections.left]\nurl = "${left.url}"\n[connections.bare]\nurl = "${bare.url}"\n`,
    );
    const driver = startConsole(undefined, { args: ['left', '--config', config] });
    await driver.waitFor(shows('left', 3));
    await command(driver, 'connect bare');
    await driver.waitFor('Create the schema in');
    expect(driver.screen()[0]).toContain(' bare ');
    driver.press('y');
    await driver.waitFor(shows('bare', 0), 60_000);
  });
});
