import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { inCi } from '../helpers/ci.js';
import { runCli } from '../helpers/cli.js';
import { startPrivateServer } from '../helpers/private-server.js';
import { giveToServer } from '../helpers/server-user.js';
import { runOnce } from '../helpers/template.js';

const isRoot = process.getuid?.() === 0;

type Disk = {
  path: string;
  /** Makes it of so many MB. */
  grow: (megabytes: number) => void;
  /** Leaves so many MB free. */
  shrinkTo: (free: number) => void;
};

/** A disk of so many MB. */
function smallDisk(megabytes: number): Disk {
  const base = mkdtempSync(join(tmpdir(), 'trace-console-disk-'));
  chmodSync(base, 0o755);
  const path = join(base, 'disk');
  mkdirSync(path);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=700`, 'tmpfs', path]);
  onTestFinished(() => {
    execFileSync('umount', ['--lazy', path]);
    rmSync(base, { recursive: true, force: true });
  });
  const resize = (kilobytes: number) =>
    void execFileSync('mount', ['-o', `remount,size=${kilobytes}k`, path]);
  return {
    path,
    grow: (size) => resize(size * 1024),
    shrinkTo(free) {
      const { blocks, bfree, bsize } = statfsSync(path);
      resize(Math.ceil(((blocks - bfree) * bsize) / 1024 + free * 1024));
    },
  };
}

/** Writes to an embedded database until it refuses, in a connection of its own each time. */
class EmbeddedWriter {
  readonly #url: string;
  #next = 0;
  readonly #acknowledged: string[] = [];

  private constructor(url: string) {
    this.#url = url;
  }

  static async of(dataDir: string): Promise<EmbeddedWriter> {
    const status = await runCli(['embedded', 'status', '--json', '--data-dir', dataDir]);
    const host = /-h (\S+)/.exec((JSON.parse(status.stdout) as { psql: string }).psql)?.[1] ?? '';
    return new EmbeddedWriter(`postgresql://postgres@localhost/postgres?host=${host}&port=5432`);
  }

  /** Traces, 100 a statement; `batches` at most. @returns the error that ended it */
  async fillRows(batches = Infinity): Promise<unknown> {
    for (let count = 0; count < batches; count += 1) {
      const batch = `batch-${(this.#next += 1)}`;
      const failure = await this.#try(
        `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, project, prompt_text)
         SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'local_test', $1,
           (SELECT string_agg(md5(n::text || i::text), '') FROM generate_series(1, 60) AS i)
         FROM generate_series(1, 100) AS n`,
        [batch],
      );
      if (failure !== undefined) return failure;
      this.#acknowledged.push(batch);
    }
    return undefined;
  }

  /** Nothing but the write-ahead log grows. @returns the error that ended it */
  async fillLog(): Promise<unknown> {
    for (;;) {
      const failure = await this.#try(
        `SELECT pg_logical_emit_message(true, 'x', repeat('x', 200000))`,
      );
      if (failure !== undefined) return failure;
    }
  }

  async #try(sql: string, params: unknown[] = []): Promise<unknown> {
    return runOnce(this.#url, sql, params).then(
      () => undefined,
      (error: unknown) => error,
    );
  }

  /** A number taken for a pointer: the engine reads outside of its memory. */
  breakEngine(): Promise<unknown> {
    return this.#try(
      `CREATE FUNCTION pg_temp.crash(int) RETURNS cstring LANGUAGE internal STRICT AS 'textout';
       SELECT pg_temp.crash(-16)`,
    );
  }

  async written(): Promise<number> {
    const rows = await runOnce<{ rows: number }>(
      this.#url,
      'SELECT count(*)::int AS rows FROM execution_traces',
    );
    return rows[0]?.rows ?? 0;
  }

  /** Batches that were acknowledged and are not there, and batches of which a part is there. */
  async lost(): Promise<string[]> {
    const rows = await runOnce<{ project: string; rows: number }>(
      this.#url,
      'SELECT project, count(*)::int AS rows FROM execution_traces GROUP BY project',
    );
    const counts = new Map(rows.map(({ project, rows: count }) => [project, count]));
    return [
      ...this.#acknowledged.filter((batch) => !counts.has(batch)),
      ...rows.filter(({ rows: count }) => count !== 100).map(({ project }) => project),
    ];
  }
}

describe.skipIf(!isRoot && !inCi)('a disk that is full', () => {
  it('under a rebuild: it says so, the index goes on, and the rebuild is done once there is room', async () => {
    const server = await startPrivateServer();
    const url = await server.createDatabase('traces');
    const disk = smallDisk(12);
    giveToServer(disk.path);
    await runOnce(server.adminUrl, `CREATE TABLESPACE small LOCATION '${disk.path}'`);
    await runOnce(
      url,
      `INSERT INTO error_patterns (fingerprint, error_type, error_message_pattern)
       SELECT n::text, repeat(md5(n::text), 6), 'm' FROM generate_series(1, 30000) AS n;
       CREATE INDEX on_small ON error_patterns (error_type) TABLESPACE small`,
    );
    const failed = await runCli(['reindex', 'on_small', '--yes', '--url', url]);
    expect(failed).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/No space left on device[^]*hint: /) as string,
    });
    const state = () =>
      runOnce(
        url,
        `SELECT c.relname::text AS index, indisvalid AS valid FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid
         WHERE c.relname LIKE 'on_small%'`,
      );
    expect(await state()).toContainEqual({ index: 'on_small', valid: true });
    disk.grow(64);
    expect(await runCli(['reindex', 'on_small', '--yes', '--url', url])).toMatchObject({
      exitCode: 0,
    });
    expect(await state()).toEqual([{ index: 'on_small', valid: true }]);
    const runs = JSON.parse((await runCli(['runs', '--json', '--url', url])).stdout) as {
      state: string;
    }[];
    expect(runs.map((run) => run.state)).toEqual(['done', 'failed']);
    await server.remove();
  });

  it('at the first start of the embedded database: it says so, and starts once there is room', async () => {
    const disk = smallDisk(4);
    const dataDir = join(disk.path, 'embedded');
    const run = () => runCli(['status', '--json', '--data-dir', dataDir]);
    const refused = await run();
    expect(refused).toMatchObject({
      exitCode: 3,
      stdout: expect.stringMatching(/"message": ?"[^"]*(disk is full|no space left)/i) as string,
    });
    disk.grow(300);
    // The daemon that did not start tells so for a second, and ends.
    const said = async () => (await run()).stdout;
    await expect.poll(said, { timeout: 90_000 }).toContain('"embedded": true');
    await runCli(['embedded', 'stop', '--data-dir', dataDir]);
  }, 120_000);

  it('under the embedded database: wherever it fills, a write says so, all can be read, nothing is lost, and it goes on once there is room', async () => {
    const disk = smallDisk(600);
    const dataDir = join(disk.path, 'embedded');
    const run = (...args: string[]) => runCli([...args, '--data-dir', dataDir]);
    expect((await run('schema', 'apply', '--yes')).exitCode).toBe(0);
    const writer = await EmbeddedWriter.of(dataDir);
    await writer.fillRows(2);
    // The table, or the write-ahead log, is what finds no room first, at any point of its files of 1 MB.
    const read = async () => {
      let answer = await run('traces', '--json', '--since', '2d', '--limit', '1');
      // An engine that starts anew on a machine that is busy is waited for, as its hint says.
      const giveUpMs = Date.now() + 60_000;
      while (answer.stdout.includes('"code":"busy"')) {
        if (Date.now() > giveUpMs) throw new Error(`busy for a minute: ${answer.stdout}`);
        answer = await run('traces', '--json', '--since', '2d', '--limit', '1');
      }
      return answer;
    };
    // What breaks for another reason says that one, however little room there is.
    disk.shrinkTo(1.5);
    expect(await writer.breakEngine()).toMatchObject({
      code: 'XX000',
      message: expect.stringContaining('memory access out of bounds') as string,
    });
    expect((await read()).exitCode).toBe(0);
    disk.grow(600);
    for (const [free, ...filled] of [
      [1.2, 'rows', 'log', 'rows', 'log'],
      [6.5, 'log', 'rows', 'log', 'rows'],
      [13, 'rows', 'rows', 'log', 'log'],
      [24.7, 'log', 'log', 'rows', 'log'],
    ] as const) {
      disk.shrinkTo(free);
      for (const [round, what] of filled.entries()) {
        const failure = await (what === 'rows' ? writer.fillRows() : writer.fillLog());
        expect(failure, `${free} MB, ${round}: ${what}`).toMatchObject({
          code: '53100',
          message: expect.stringContaining('No space left on device') as string,
          hint: expect.stringContaining(dataDir) as string,
        });
        const { exitCode, stdout } = await read();
        if (exitCode === 0) {
          expect(JSON.parse(stdout)).toMatchObject({ total: await writer.written() });
          continue;
        }
        // What was kept for a start is used up after some of them, and until there is room nothing can be read.
        expect(free, stdout).toBeGreaterThan(2);
        expect(stdout).toMatch(
          new RegExp(`No space left on device: the disk of ${dataDir} is full`),
        );
        expect(stdout).toContain('Make room');
        break;
      }
      disk.grow(600);
      await expect.poll(async () => (await read()).exitCode, { timeout: 30_000 }).toBe(0);
      expect(await writer.fillRows(1)).toBeUndefined();
      expect(await writer.lost()).toEqual([]);
    }
    expect((await run('schema', 'verify')).exitCode).toBe(0);
    await run('embedded', 'stop');
  }, 240_000);
});
