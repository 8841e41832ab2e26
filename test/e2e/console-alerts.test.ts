import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createTestDatabase } from '../helpers/database.js';
import { openConsole, refreshUntil } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';

it('an alert shows its badge and rings once, also while its pane is hidden, and is listed', async () => {
  const database = await createTestDatabase();
  await addTraces(database, 10);
  const config = join(mkdtempSync(join(tmpdir(), 'trace-console-config-')), 'config.toml');
  writeFileSync(
    config,
    `[alerts]
bell = true
notify = true
[alerts.rules.failures]
pane = "recent-traces"
when = "status:failed share>10%"
`,
  );
  const driver = await openConsole(database.url, { args: ['--config', config] });
  const told: string[] = [];
  driver.emulator.parser.registerOscHandler(9, (text) => {
    told.push(text);
    return true;
  });
  driver.press('3z');
  await driver.waitFor((lines) => !lines.join('\n').includes('1 Recent traces'));
  await addTraces(database, 10, 'failed');
  await refreshUntil(driver, ' ! failures ');
  await expect.poll(() => driver.bells).toBe(1);
  expect(told).toEqual([expect.stringMatching(/^trace-console: failures: failed .*50%/)]);
  driver.press('!');
  await driver.waitFor('Alerts: what fired, and when');
  await driver.waitFor(/fired +failures/);
  // Enter leads to what the rule is about: its pane, its rows.
  driver.press('\r');
  await driver.waitFor(/┏━ 1 Recent traces .*\/status:failed share>10% 1 of \d/);
  driver.press('y');
  await driver.waitFor('Copied: the row as JSON');
  expect(JSON.parse(driver.clipboard.at(-1) ?? '')).toMatchObject({ status: 'failed' });
  driver.press('\x1b');
  await driver.waitFor((lines) => !lines.join().includes('share>10%'));
  await database.query('TRUNCATE execution_traces CASCADE');
  driver.press('z1E');
  await refreshUntil(driver, (lines) => !lines.join('\n').includes(' ! failures '));
  expect(driver.bells).toBe(1);
});
