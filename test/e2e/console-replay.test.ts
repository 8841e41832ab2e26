import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createTestDatabase } from '../helpers/database.js';
import { boxOf, openConsole, refreshUntil, startConsole } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';

it('a recorded console is played again: the panes of then, its own keys, no database', async () => {
  const database = await createTestDatabase();
  await addTraces(database, 7);
  const file = join(mkdtempSync(join(tmpdir(), 'trace-console-recording-')), 'incident.jsonl');
  const console = await openConsole(database.url, { args: ['--record', file] });
  await console.waitFor('● rec');
  await refreshUntil(console, '7 in 1h');
  await addTraces(database, 2);
  await refreshUntil(console, '9 in 1h');
  // What is shown is written within half a second.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  console.press('q');
  expect((await console.waitForExit()).exitCode).toBe(0);
  await database.query('TRUNCATE execution_traces CASCADE');

  const replay = startConsole(undefined, { args: ['replay', file] });
  await replay.waitFor('RECORDING');
  replay.press('}');
  await replay.waitFor('end of the recording');
  expect(boxOf(replay.screen(), '1 Recent traces').join('\n')).toContain('9 in 1h');
  replay.press('4\r');
  await replay.waitFor(/totalBytes +\d/);
  replay.press('\x12');
  await replay.waitFor('This is a recording: nothing is asked or changed');
  replay.press('\x1b');
  await replay.waitFor('┏━ 4 Table sizes');
  replay.press('{');
  await replay.waitFor((lines) => !lines.join().includes('9 in 1h'));
  replay.press('a');
  await replay.waitFor('This is a recording: nothing is asked or changed');
  replay.press(' ');
  await replay.waitFor('paused');
  for (const command of ['window 15m', 'every 5s', 'agent somebody']) {
    replay.press(`:${command}`);
    await replay.waitFor(`:${command}█`);
    replay.press('\r');
    await replay.waitFor('This is a recording: nothing is asked or changed');
  }
  replay.press('q');
  expect((await replay.waitForExit()).exitCode).toBe(0);
  expect(replay.buffer).toBe('normal');
});
