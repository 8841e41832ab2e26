import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { expect, onTestFinished, test } from 'vitest';
import {
  baseFolder,
  cleanStaleServers,
  currentOwner,
  isRunning,
  makeServerFolder,
} from './server-folders.js';
import { testServer } from './server.js';

/** A process id beyond the largest that Linux gives out. */
const nobody = { pid: 4_194_305, startTime: '1' };

function spawnNode(args: string[]): ChildProcess {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

async function startAbandonedServer(): Promise<{
  runner: ChildProcess;
  folder: string;
  pid: number;
}> {
  const runner = spawnNode([
    '--import',
    'tsx',
    join(import.meta.dirname, 'fixtures/abandon-server.ts'),
  ]);
  if (!runner.stdout) throw new Error('no stdout');
  const lines = createInterface(runner.stdout);
  const [line] = (await once(lines, 'line')) as [string];
  return { runner, ...(JSON.parse(line) as { folder: string; pid: number }) };
}

test('the server of a killed run is stopped and removed by the next one, that of a living run is not', async () => {
  const { runner, folder, pid } = await startAbandonedServer();
  expect(await cleanStaleServers()).not.toContain(folder);
  expect(isRunning(pid)).toBe(true);

  const exited = once(runner, 'exit');
  runner.kill('SIGKILL');
  await exited;
  expect(isRunning(pid)).toBe(true);

  expect(await cleanStaleServers()).toContain(folder);
  expect(isRunning(pid)).toBe(false);
  expect(existsSync(folder)).toBe(false);
});

test('a pid file that names a process of somebody else stops nobody', async () => {
  const bystander = spawnNode(['-e', 'setInterval(() => undefined, 60_000)']);
  const folder = makeServerFolder(nobody);
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 'data/postmaster.pid'), `${bystander.pid ?? ''}\n`);
  await cleanStaleServers();
  expect(existsSync(folder)).toBe(false);
  expect(isRunning(bystander.pid ?? 0)).toBe(true);
});

test('a process that got the id of a dead run does not keep its folder alive', async () => {
  const folder = makeServerFolder({ ...currentOwner(), startTime: '1' });
  await cleanStaleServers();
  expect(existsSync(folder)).toBe(false);
});

test('folders that no run has named are left alone', async () => {
  const folder = join(baseFolder(), 'something-else');
  mkdirSync(folder, { recursive: true });
  onTestFinished(() => rmSync(folder, { recursive: true }));
  await cleanStaleServers();
  expect(existsSync(folder)).toBe(true);
});

test('this run owns its servers through the main process, not through a worker', () => {
  expect(testServer().owner.pid).not.toBe(process.pid);
  expect(isRunning(testServer().owner.pid)).toBe(true);
});
