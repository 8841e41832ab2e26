import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { startConsole } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';

const alive = ['anna', 'berta', 'clara', 'dora', 'emil', 'fritz', 'gustav'] as const;

/** A server that takes the connection and never says a word. */
async function silentPort(): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return portOf(server);
}

async function refusedPort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function portOf(server: net.Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}

/** Seven that answer, the first with a fleet's whole trouble; one is refused, one silent, one has no such database. */
async function fleetMade(): Promise<{ config: string; databases: TestDatabase[] }> {
  const databases = await Promise.all(alive.map(() => createTestDatabase()));
  const [first, second] = databases;
  if (!first || !second) throw new Error('seven were made');
  await addTraces(first, 10);
  await addTraces(first, 5, 'failed');
  await second.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, started_at)
     SELECT id, id, id, 'user_prompt', 'completed', now() - interval '40 days' FROM (SELECT gen_random_uuid() AS id) AS made`,
  );
  const [refused, silent] = await Promise.all([refusedPort(), silentPort()]);
  const nobody = new URL(second.url);
  nobody.pathname = '/no_such_database';
  const toml = [
    ...databases.map(({ url }, index) => `[connections.${alive[index]}]\nurl = "${url}"`),
    `[connections.refused]\nurl = "postgresql://u@127.0.0.1:${refused}/d"`,
    `[connections.silent]\nurl = "postgresql://u@127.0.0.1:${silent}/d?connect_timeout=15"`,
    `[connections.nobody]\nurl = "${nobody.href}"`,
    '[alerts.rules.any-failed]\npane = "recent-traces"\nwhen = "status=failed"',
  ].join('\n');
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-fleet-'));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  const config = path.join(folder, 'config.toml');
  fs.writeFileSync(config, toml, { mode: 0o600 });
  return { config, databases };
}

const lineOf = (lines: readonly string[], name: string) =>
  lines.find((line) => line.includes(` ${name} `) && !line.includes('connected')) ?? '';

it('shows seven databases rightly while three others are dead or silent, and goes to one', async () => {
  const { config } = await fleetMade();
  const driver = startConsole(undefined, {
    args: ['anna', '--config', config],
    cols: 200,
    rows: 60,
  });
  await driver.waitFor('15 in 1h');
  driver.press('F');
  await driver.waitFor(
    (screen) =>
      alive.every((name) => lineOf(screen, name).includes('primary')) &&
      /down .* Nothing accepts connections/.test(lineOf(screen, 'refused')) &&
      lineOf(screen, 'nobody').includes('down') &&
      lineOf(screen, 'anna').includes('any-failed') &&
      lineOf(screen, 'berta').includes('none'),
  );
  const lines = driver.screen();
  // 15 in five minutes, 5 of them failed.
  expect(lineOf(lines, 'anna')).toMatch(/primary +any-failed +3\.0 +1\.0 /);
  expect(lineOf(lines, 'berta')).toMatch(/primary +none +0 +0 .* 40d /);
  expect(lines.join('\n')).toContain('Fleet: 10 connections of the config file ━');
  // On a narrow screen: the columns that have no room, and back.
  driver.resize(80, 24);
  await driver.waitFor(/━ > shows \d more columns? ━/);
  driver.press('>');
  await driver.waitFor(/━ < shows 1(?:, >| more column)/);
  expect(lineOf(driver.screen(), 'anna')).not.toContain('primary');
  driver.press('<<');
  await driver.waitFor('This is the first column');
  driver.resize(200, 60);
  await driver.waitFor((screen) => lineOf(screen, 'refused').includes('Nothing accepts'));
  for (const key of 'jjjjjjj') driver.press(key);
  driver.press('\r');
  await driver.waitFor((screen) =>
    ['refused cannot be opened', 'Enter, Esc: back to the fleet'].every((text) =>
      screen.some((line) => line.includes(text)),
    ),
  );
  // The same row of the fleet, and each of its figures.
  driver.press('\x1b');
  await driver.waitFor(
    (screen) =>
      /down .* Nothing accepts connections/.test(lineOf(screen, 'refused')) &&
      lineOf(screen, 'berta').includes('primary'),
  );
  for (const key of 'kkkkkk') driver.press(key);
  driver.press('\r');
  await driver.waitFor(
    (screen) => screen[0]?.includes(' berta ') === true && screen[0].includes('● connected'),
  );
});

it('prints the same for scripts, and says by its exit code that some are down', async () => {
  const { config } = await fleetMade();
  const { exitCode, stdout } = await runCli(['fleet', '--config', config, '--json']);
  expect(exitCode).toBe(1);
  const rows = JSON.parse(stdout) as {
    name: string;
    state: string;
    error: { code: string } | null;
  }[];
  expect(rows.map(({ state }) => state)).toEqual([
    ...alive.map(() => 'primary'),
    'down',
    'down',
    'down',
  ]);
  expect(rows.slice(7).map(({ error }) => error?.code)).toEqual([
    'connection_refused',
    'connection_timeout',
    'database_missing',
  ]);
  expect(rows[0]).toMatchObject({ tracesPerMinute: 3, failuresPerMinute: 1 });
});
