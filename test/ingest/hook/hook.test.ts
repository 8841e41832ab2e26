import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { listSegments, readSpool } from '../../../src/ingest/spool/reader.js';
import type { SpoolRecord } from '../../../src/ingest/spool/frame.js';
import { runHook } from '../../helpers/hook.js';
import { inCi } from '../../helpers/ci.js';

let folder: string;
let spool: string;
let env: Record<string, string>;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-hook-'));
  spool = path.join(folder, 'spool');
  env = { TRACE_CONSOLE_SPOOL: spool };
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

const silent = { exitCode: 0, output: '' };
const recorded = (): SpoolRecord[] => readSpool(spool, new Map(), 1_000).records;

describe('the hook', () => {
  it('puts what the CLI sent into the spool, prints nothing and exits with 0', async () => {
    const before = Date.now();
    const payload = { session_id: 's', hook_event_name: 'Stop', nested: [{ a: '\u0000ü' }] };
    expect(await runHook(payload, { env })).toEqual(silent);
    const [record] = recorded();
    expect(record).toMatchObject({
      cli: 'claude',
      payload: { session_id: 's', hook_event_name: 'Stop', nested: [{ a: 'ü' }] },
    });
    expect(record?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(Number(record?.at)).toBeGreaterThanOrEqual(before * 1e6);
    expect(Number(record?.at)).toBeLessThanOrEqual(Date.now() * 1e6);
  });

  it('is what the launcher runs for "trace-console hook"', async () => {
    // The launcher looks for the built program beside itself.
    const copy = path.join(folder, 'package');
    fs.cpSync(path.resolve('bin'), path.join(copy, 'bin'), { recursive: true });
    fs.mkdirSync(path.join(copy, 'dist'));
    const launcher = path.join(copy, 'bin', 'trace-console.js');
    fs.writeFileSync(path.join(copy, 'package.json'), '{"type":"module"}');
    expect(await runHook({}, { program: launcher, env })).toEqual(silent);
    expect(recorded()).toEqual([]);
    fs.copyFileSync(path.join(inject('programs'), 'hook.cjs'), path.join(copy, 'dist/hook.cjs'));
    expect(await runHook({ session_id: 's' }, { program: launcher, env })).toEqual(silent);
    expect(recorded()).toMatchObject([{ payload: { session_id: 's' } }]);
  });

  it('takes the event from its argument where the payload does not name it', async () => {
    await runHook({ sessionId: 's' }, { cli: 'copilot', event: 'preToolUse', env });
    expect(recorded()).toMatchObject([{ cli: 'copilot', event: 'preToolUse' }]);
  });

  it('keeps what the environment says about the trace', async () => {
    await runHook({}, { env: { ...env, ARCHON_CORRELATION_ID: 'c', OTHER: 'no' } });
    expect(recorded()[0]?.env).toEqual({ ARCHON_CORRELATION_ID: 'c' });
  });

  it.each([
    ['garbage', 'not json'],
    ['nothing', ''],
    ['a bare number', '7'],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00, 0x1e])],
    ['a cut object', '{"session_id": "s", "token": "tok'],
  ])('notes that %s came, and keeps none of it', async (_, payload) => {
    expect(await runHook(payload, { env })).toEqual(silent);
    const [record] = recorded();
    expect(record).toMatchObject({ problem: 'unreadable', bytes: Buffer.byteLength(payload) });
    expect(record).not.toHaveProperty('payload');
  });

  it('keeps events whole, whatever their size and what the environment adds to them', async () => {
    // Sizes about what is read at once; an environment that needs more room than is left before the event.
    const sizes = [1, 262_100, 262_144, 262_200, 500_000];
    const long = String.fromCodePoint(1).repeat(1_024);
    const wide = {
      ARCHON_ROOT_ID: long,
      ARCHON_PARENT_ID: long,
      TRACEPARENT: long,
      ARCHON_SESSION_ID: long,
    };
    for (const size of sizes) {
      const parts = Array.from({ length: Math.ceil(size / 60_000) }, () => 'ü'.repeat(30_000));
      const payload = {
        size,
        parts: parts
          .join('')
          .slice(0, Math.floor(size / 2))
          .match(/.{1,30000}/g),
      };
      expect(await runHook(payload, { env })).toEqual(silent);
      expect(await runHook(payload, { env: { ...env, ...wide } })).toEqual(silent);
      const [plain, within] = recorded().slice(-2);
      expect(plain).toMatchObject({ payload, bytes: Buffer.byteLength(JSON.stringify(payload)) });
      expect(within).toMatchObject({ payload, env: wide });
    }
  });

  it('keeps what identifies an event of 10 MB', async () => {
    const lines = Array.from({ length: 1_000 }, () => 'z'.repeat(10_000));
    const payload = { session_id: 's', tool_use_id: 't', tool_response: { lines } };
    expect(await runHook(payload, { env })).toEqual(silent);
    expect(recorded()).toMatchObject([
      { problem: 'too_large', payload: { session_id: 's', tool_use_id: 't' } },
    ]);
  });

  it('keeps no secret, however deep it lies', async () => {
    const secret = ['sk', 'ant', 'api03', 'x'.repeat(40)].join('-');
    const payload = {
      hook_event_name: 'PostToolUse',
      prompt: `use ${secret}`,
      tool_input: {
        command: 'curl -H "Authorization: Bearer hunter2-hunter2" https://u:hunter2@h',
      },
      tool_response: { stdout: 'DB_PASSWORD=hunter2\n', headers: [{ 'X-Api-Key': 'hunter2' }] },
      mcp: { deep: [[{ credentials: { user: 'u', pin: 'hunter2' } }]] },
    };
    await runHook(payload, { env: { ...env, ARCHON_SESSION_ID: `token=hunter2` } });
    const [segment = ''] = listSegments(spool);
    const written = fs.readFileSync(path.join(spool, segment), 'utf8');
    expect(written).toContain('PostToolUse');
    expect(written).not.toContain('hunter2');
    expect(written).not.toContain(secret);
  });

  it('finds the spool below HOME, or the home of its user where HOME is missing', async () => {
    await runHook({ a: 1 }, { env: { HOME: folder } });
    const below = path.join(folder, '.local/state/trace-console/spool');
    expect(listSegments(below)).toHaveLength(1);
    // A state home that cannot be written stands for it: the real home is not a test's to write to.
    const file = path.join(folder, 'file');
    fs.writeFileSync(file, '');
    expect(await runHook({ a: 1 }, { env: { XDG_STATE_HOME: file } })).toEqual(silent);
    expect(await runHook({ a: 1 }, { env: { HOME: '/proc' } })).toEqual(silent);
  });

  it('keeps every event of 50 that come at once, each whole', async () => {
    const numbers = Array.from({ length: 50 }, (_, index) => index);
    const text = 'w'.repeat(4_000);
    const results = await Promise.all(
      numbers.map((number) => runHook({ session_id: 's', number, text }, { env })),
    );
    expect(results).toEqual(numbers.map(() => silent));
    const read = recorded().map(({ payload }) => (payload as { number: number }).number);
    expect(read.sort((a, b) => a - b)).toEqual(numbers);
  });

  it('loads no module but the file system', () => {
    const program = path.join(inject('programs'), 'hook.cjs');
    const loaded = [...fs.readFileSync(program, 'utf8').matchAll(/require\("([^"]+)"\)/g)];
    // The others are loaded where a collector is started, and where HOME is missing.
    expect(new Set(loaded.map(([, name]) => name))).toEqual(
      new Set(['node:fs', 'node:child_process', 'node:os']),
    );
  });
});

describe('the hook and the collector', () => {
  /** A program that stands for the console: it writes down what it was started with. */
  function witness(): { program: string; starts: () => string[][] } {
    const programs = path.join(folder, 'programs');
    const seen = path.join(folder, 'seen');
    fs.mkdirSync(programs);
    fs.mkdirSync(seen);
    const program = path.join(programs, 'hook.cjs');
    fs.copyFileSync(path.join(inject('programs'), 'hook.cjs'), program);
    fs.writeFileSync(
      path.join(programs, 'main.js'),
      `const fs = require('node:fs');
       const file = ${JSON.stringify(seen)} + '/' + process.pid;
       fs.writeFileSync(file + '.part', JSON.stringify([...process.argv.slice(2), ...Object.keys(process.env).sort()]));
       fs.renameSync(file + '.part', file);`,
    );
    const starts = () =>
      fs
        .readdirSync(seen)
        .filter((name) => !name.endsWith('.part'))
        .map((name) => JSON.parse(fs.readFileSync(path.join(seen, name), 'utf8')) as string[]);
    return { program, starts };
  }

  const on = () => ({ ...env, TRACE_CONSOLE_COLLECTOR: '' });

  it('starts one where none lives, without the database of the agent', async () => {
    const { program, starts } = witness();
    const database = { DATABASE_URL: 'postgresql://app@localhost/app', PGHOST: 'localhost' };
    await Promise.all(
      [1, 2, 3].map(() => runHook({}, { program, env: { ...on(), ...database, HOME: folder } })),
    );
    await vi.waitFor(() => expect(starts()).not.toEqual([]), 50_000);
    const [words = []] = starts();
    expect(words.slice(0, 2)).toEqual(['collect', '--background']);
    expect(words).toContain('TRACE_CONSOLE_SPOOL');
    expect(words).toContain('HOME');
    expect(words.filter((word) => /^(PG|DATABASE)/.test(word))).toEqual([]);
  });

  it('starts one after the clock was put back', async () => {
    const { program, starts } = witness();
    fs.mkdirSync(spool, { mode: 0o700 });
    const ahead = new Date(Date.now() + 86_400_000);
    // A collector was started then, and its process has another program by now.
    for (const [name, content] of [
      ['starting', '1'],
      ['collector.lock', JSON.stringify({ pid: process.pid })],
    ] as const) {
      fs.writeFileSync(path.join(spool, name), content);
      fs.utimesSync(path.join(spool, name), ahead, ahead);
    }
    await runHook({}, { program, env: on() });
    await vi.waitFor(() => expect(starts()).toHaveLength(1), 50_000);
  });

  it('starts none where one lives', async () => {
    const { program, starts } = witness();
    fs.mkdirSync(spool, { mode: 0o700 });
    const lock = path.join(spool, 'collector.lock');
    fs.writeFileSync(lock, JSON.stringify({ pid: process.pid }));
    await runHook({}, { program, env: on() });
    expect(fs.existsSync(path.join(spool, 'starting'))).toBe(false);
    // A dead one is another matter.
    const dead = execFileSync(process.execPath, ['-p', 'process.pid'], { encoding: 'utf8' });
    fs.writeFileSync(lock, JSON.stringify({ pid: Number(dead) }));
    await runHook({}, { program, env: on() });
    await vi.waitFor(() => expect(starts()).toHaveLength(1), 50_000);
  });
});

const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot && !inCi)('the hook on a full disk', () => {
  it('drops the event, leaves the spool readable, and goes on when there is room', async () => {
    const disk = path.join(folder, 'disk');
    fs.mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'tmpfs', disk]);
    try {
      const small = { env: { TRACE_CONSOLE_SPOOL: path.join(disk, 'spool') } };
      const read = () => readSpool(path.join(disk, 'spool'), new Map(), 1_000).records;
      await runHook({ number: 1 }, small);
      fs.writeFileSync(path.join(disk, 'ballast'), Buffer.alloc(44 * 1024));
      expect(await runHook({ number: 2, text: 'w'.repeat(30_000) }, small)).toEqual(silent);
      expect(read()).toMatchObject([{ payload: { number: 1 } }]);
      fs.rmSync(path.join(disk, 'ballast'));
      await runHook({ number: 3 }, small);
      expect(read()).toMatchObject([{ payload: { number: 1 } }, { payload: { number: 3 } }]);
    } finally {
      execFileSync('umount', [disk]);
    }
  });
});
