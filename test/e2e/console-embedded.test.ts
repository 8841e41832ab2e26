import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { embeddedStatus, openEmbedded, stopEmbedded } from '../../src/embedded/running.js';
import { readLock } from '../../src/core/folder-lock.js';
import { readStatus } from '../../src/ingest/collector/status-file.js';
import { testPrograms } from '../embedded/programs.js';
import { endCollector } from '../helpers/collector.js';
import { psqlProgram } from '../helpers/psql.js';
import { runOnce } from '../helpers/template.js';
import { sessions } from '../ingest/claude-folder.js';
import { ClaudeLines, toolUse, usage } from '../ingest/claude-lines.js';
import { boxOf, refreshUntil, startConsole } from './helpers/console.js';
import { isFilled } from './helpers/filled.js';
import { writeAtOnce, writtenBy, writtenStatement } from './helpers/writers.js';

// A new database, the schema and a history are made on the way, on a machine that may be busy.
vi.setConfig({ testTimeout: 240_000 });

let home: string;
const folderOf = (name: string) => path.join(home, '.local/share/trace-console', name);

beforeEach(async () => {
  await testPrograms();
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-home-'));
  // After the consoles were ended: one that lives starts its daemon again.
  onTestFinished(async () => {
    for (const name of ['embedded', 'demo']) await stopEmbedded(folderOf(name));
    fs.rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  });
});

const open = (...args: string[]) =>
  startConsole(undefined, {
    ...{ args, cols: 200, rows: 60 },
    env: { HOME: home, XDG_DATA_HOME: undefined },
  });

describe('the console without a server, in an empty home', () => {
  it('shows its header at once, then what it does, then every pane', async () => {
    const seen: string[] = [];
    const driver = open();
    const watch = setInterval(() => {
      const [header = ''] = driver.screen();
      if (header !== '' && header !== seen.at(-1)) seen.push(header);
    }, 5);
    await driver.waitFor(isFilled, 120_000);
    clearInterval(watch);
    expect(seen[0]).toContain('trace-console');
    expect(seen.join('\n')).toMatch(/(Starting|Creating) the embedded database/);
    expect(driver.text()).toContain('this machine');
    driver.press('q');
    expect(await driver.waitForExit()).toEqual({ exitCode: 0, signal: 0 });
  });

  it('finds the sessions of an agent, brings them in with i and y, and goes on with what comes', async () => {
    const at = Date.now() - 3 * 60_000;
    const lines = new ClaudeLines({
      session: sessions.main,
      startMs: at,
      cwd: '/home/dev/webshop',
    });
    lines.prompt('Fix the checkout', 'p1');
    lines.assistant('m1', [toolUse('t1', 'Bash', { command: 'npm test' })], { usage: usage() });
    lines.result('t1', 'ok');
    const folder = path.join(home, '.claude/projects/-home-dev-webshop');
    fs.mkdirSync(folder, { recursive: true });
    const file = path.join(folder, `${sessions.main}.jsonl`);
    fs.writeFileSync(file, lines.toString());
    const env = { HOME: home, XDG_DATA_HOME: undefined, XDG_STATE_HOME: path.join(home, 'state') };
    const spool = path.join(home, 'state/trace-console/spool');
    onTestFinished(() => endCollector(spool));
    const driver = startConsole(undefined, { cols: 120, rows: 35, env });
    await driver.waitFor('This machine has 1 Claude Code session, the last', 60_000);
    driver.press('i');
    await driver.waitFor('it stays on this machine');
    expect(driver.text()).toContain('taken out before anything is written');
    driver.press('y');
    await driver.waitFor(/Imported 1 session: 1 prompt, 1 tool call, \$/, 60_000);
    driver.press('\r');
    await driver.waitFor(/┃ thinking +\d.*webshop/);
    await driver.waitFor('collecting, ', 60_000);
    expect(readStatus(spool)?.state).toBe('following');
    driver.press('q');
    await driver.waitForExit();
  });

  it('says where it looked when there is none, finds it when it is there, and shows it whatever its age', async () => {
    const env = { HOME: home, XDG_DATA_HOME: undefined, XDG_STATE_HOME: path.join(home, 'state') };
    onTestFinished(() => endCollector(path.join(home, 'state/trace-console/spool')));
    const driver = startConsole(undefined, { cols: 200, rows: 60, env });
    await driver.waitFor('No session of an agent was found', 60_000);
    await driver.waitFor(isFilled, 120_000);
    const told = driver.text().replace(/[┃│\s]+/g, ' ');
    expect(told).toContain('Claude Code in ~/.claude/projects');
    expect(told).toMatch(/i looks again; trace-console import PATH reads other folders/);
    const lines = new ClaudeLines({
      session: sessions.main,
      startMs: Date.now() - 41.5 * 86_400_000,
      cwd: '/home/dev/webshop',
    });
    lines.prompt('Fix the checkout', 'p1');
    lines.assistant('m1', [toolUse('t1', 'Bash', { command: 'npm test' })], { usage: usage() });
    const folder = path.join(home, '.claude/projects/-home-dev-webshop');
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(path.join(folder, `${sessions.main}.jsonl`), lines.toString());
    driver.press('i');
    await driver.waitFor('it stays on this machine');
    driver.press('y');
    await driver.waitFor('The newest is 41d old', 60_000);
    await driver.waitFor((screen) => screen[1]?.includes('window 90d') === true);
    driver.press('\r');
    await driver.waitFor(/┃ idle .*webshop.*Fix the checkout/);
    // Until then nothing knows of the collector, which would start the database anew when it is stopped.
    await driver.waitFor('collecting', 60_000);
    driver.press('q');
    await driver.waitForExit();
  });

  it('--demo fills five panes and the tail, apart from the own data; a second console shares it', async () => {
    const first = open('--demo');
    await first.waitFor((lines) => lines[0]?.includes(' DEMO ') === true, 30_000);
    expect(first.text()).not.toContain('● connected');
    // Nothing reads as if nothing had happened while the history is being written.
    const frames: string[] = [];
    await first.waitFor((lines) => {
      frames.push(lines.join('\n'));
      return isFilled(lines) && /[1-9]\d* in 1h/.test(lines.join('\n'));
    }, 120_000);
    expect(frames.filter((text) => /No trace started|\b0 in 1h|No hook ran/.test(text))).toEqual(
      [],
    );
    expect(frames.some((text) => text.includes('The history of the demo is being written'))).toBe(
      true,
    );
    const isFilling = (lines: string[]) => /history [█░]{10}/.test(lines[1] ?? '');
    const isAlive = (lines: string[]) =>
      isFilled(lines) &&
      ['1 Recent', '2 Slow', '3 Index', '4 Table', '5 Top', '6 Activity'].every(
        (title) => boxOf(lines, title).length > 2,
      ) &&
      /[1-9]\d* in 1h/.test(lines.join('\n')) &&
      /[1-9]\d* calls in 1h/.test(lines.join('\n')) &&
      boxOf(lines, '6 Activity').join('').includes('Use');
    // Unasked, and long before all of it is there.
    await first.waitFor((lines) => isAlive(lines) && isFilling(lines), 120_000);
    const second = open('--demo');
    await second.waitFor(isFilling, 60_000);
    await refreshUntil(second, isAlive, 60_000);
    // The history comes while the first console already looks, and is counted as if it had been there.
    const programs = await testPrograms();
    const { host, port } = await openEmbedded({ dataDir: folderOf('demo'), programs });
    const url = `postgresql://postgres@localhost/postgres?host=${host}&port=${port}`;
    const counted = () =>
      Number(/([\d,]+) in 1h · /.exec(first.text())?.[1]?.replaceAll(',', '') ?? 0);
    const there = async () => {
      const [row] = await runOnce<{ whole: boolean; hour: number }>(
        url,
        `SELECT min(started_at) < now() - interval '150 hours' AS whole,
           (count(*) FILTER (WHERE started_at > now() - interval '1 hour'))::int AS hour
         FROM execution_traces`,
      );
      return row?.whole ? row.hour : Infinity;
    };
    await expect
      .poll(async () => counted() / (await there()), { timeout: 150_000 })
      .toBeGreaterThan(0.9);
    await first.waitFor((lines) => !isFilling(lines), 120_000);
    for (const driver of [first, second]) expect(driver.screen()[0]).toContain(' DEMO ');
    const quit = async (driver: typeof first) => {
      driver.press('q');
      expect((await driver.waitForExit(30_000)).exitCode).toBe(0);
      expect(driver.buffer).toBe('normal');
      expect(driver.isCursorVisible).toBe(true);
    };
    // The traffic ends with the console that made it, and the other one goes on with it.
    const makesTraffic = () => readLock(folderOf('demo-traffic.lock'))?.pid;
    const before = makesTraffic();
    expect(before).toBeDefined();
    await quit(first);
    await expect
      .poll(() => [undefined, before].includes(makesTraffic()), { timeout: 60_000 })
      .toBe(false);
    const newest = async () => {
      const [row] = await runOnce<{ id: string }>(
        url,
        'SELECT id FROM execution_traces ORDER BY started_at DESC LIMIT 1',
      );
      return row?.id;
    };
    const last = await newest();
    const tail = boxOf(second.screen(), '6 Activity').join('\n');
    await expect.poll(newest, { timeout: 60_000 }).not.toBe(last);
    await refreshUntil(second, (lines) => boxOf(lines, '6 Activity').join('\n') !== tail, 60_000);
    expect(fs.existsSync(folderOf('embedded'))).toBe(false);
    await quit(second);
    // The traffic ends with the consoles, and the daemon is left to its time without a client.
    await expect
      .poll(async () => (await embeddedStatus(folderOf('demo')))?.exitsAt, { timeout: 60_000 })
      .toBeDefined();
  });

  it('keeps every row of many processes that write at once beside it, and goes on answering keys', async () => {
    const processes = Number(process.env.EMBEDDED_TEST_PROCESSES ?? 200);
    const driver = open();
    await driver.waitFor(isFilled, 120_000);
    const programs = await testPrograms();
    const { host, port } = await openEmbedded({ dataDir: folderOf('embedded'), programs });
    const written = new AbortController();
    const psql = await psqlProgram();
    const writing = writeAtOnce({ host, port, processes, psql }).finally(() => written.abort());
    let keys = 0;
    while (!written.signal.aborted) {
      const pane = 1 + (keys % 6);
      driver.press(String(pane));
      await driver.waitFor(new RegExp(`┏━ ${pane} `), 30_000);
      keys += 1;
      await sleep(50);
    }
    await writing;
    expect(keys).toBeGreaterThan(3);
    const url = `postgresql://postgres@localhost/postgres?host=${host}&port=${port}`;
    expect(await runOnce(url, writtenStatement)).toEqual([writtenBy(processes)]);
    await refreshUntil(driver, `${processes} in 1h`, 60_000);
    expect((await embeddedStatus(folderOf('embedded')))?.engineRestarts).toBe(0);
  });
});
