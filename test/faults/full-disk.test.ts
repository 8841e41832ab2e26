import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { inCi } from '../helpers/ci.js';
import { runCli } from '../helpers/cli.js';
import { startPrivateServer } from '../helpers/private-server.js';
import { giveToServer } from '../helpers/server-user.js';
import { runOnce } from '../helpers/template.js';

const isRoot = process.getuid?.() === 0;

/** A disk of so many MB; `grow` makes it larger. */
function smallDisk(megabytes: number): { path: string; grow: (megabytes: number) => void } {
  const base = mkdtempSync(join(tmpdir(), 'trace-console-disk-'));
  chmodSync(base, 0o755);
  const path = join(base, 'disk');
  mkdirSync(path);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=700`, 'tmpfs', path]);
  onTestFinished(() => {
    execFileSync('umount', ['--lazy', path]);
    rmSync(base, { recursive: true, force: true });
  });
  const grow = (size: number) => void execFileSync('mount', ['-o', `remount,size=${size}m`, path]);
  return { path, grow };
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

  it('under the embedded database: a write says so, what was written stays, and it goes on once there is room', async () => {
    const disk = smallDisk(300);
    const dataDir = join(disk.path, 'embedded');
    const run = (...args: string[]) => runCli([...args, '--data-dir', dataDir]);
    const demo = (seed: number) =>
      run('demo', '--backfill', '1d', '--traces', '300', '--yes', '--seed', String(seed), '--json');
    expect((await demo(1)).exitCode).toBe(0);
    writeFileSync(join(disk.path, 'ballast'), Buffer.alloc(1024 * 1024));
    const size = Math.ceil(
      Number(execFileSync('du', ['-sk', disk.path], { encoding: 'utf8' }).split('\t')[0]) / 1024,
    );
    disk.grow(size + 1);
    // The engine may be starting anew meanwhile: then it does not answer for some seconds.
    const fill = async () => {
      const args = ['--backfill', '30d', '--traces', '20000', '--yes', '--seed', '2', '--json'];
      const { exitCode, stdout } = await run('demo', ...args);
      return `${exitCode}: ${stdout}`;
    };
    await expect.poll(fill, { timeout: 120_000 }).toMatch(/^1: .*No space left on device.*"hint":/);
    const written = async () => {
      const { stdout } = await run('traces', '--json', '--since', '2d', '--limit', '1');
      return (JSON.parse(stdout) as { total: number }).total;
    };
    // It can be read all the same.
    const before = await written();
    expect(before).toBeGreaterThanOrEqual(290);
    disk.grow(600);
    expect((await demo(3)).exitCode).toBe(0);
    expect(await written()).toBeGreaterThanOrEqual(before + 290);
    expect((await run('schema', 'verify')).exitCode).toBe(0);
    await run('embedded', 'stop');
  }, 240_000);
});
