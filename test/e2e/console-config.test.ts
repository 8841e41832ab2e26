import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createTestDatabase } from '../helpers/database.js';
import { startConsole } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';

describe('the console with keys of the config file', () => {
  it('obeys them, shows them everywhere, and says what is wrong with others', async () => {
    const database = await createTestDatabase();
    await addTraces(database, 5);
    const config = join(mkdtempSync(join(tmpdir(), 'trace-console-config-')), 'config.toml');
    const args = ['--config', config];
    writeFileSync(
      config,
      '[keys]\narchive-traces = "X"\nconfirm = "Y"\nhelp = "H"\nquit = ["Q", "ctrl-q"]\nsql = "ctrl-s"\n',
    );
    const driver = startConsole(database.url, { args, cols: 160 });
    await driver.waitFor('● connected');
    await driver.waitFor(/X archive .*H help .*Q quit/);
    driver.press('q');
    await driver.waitFor('q does nothing here; H shows the keys');
    await database.query(`UPDATE execution_traces SET started_at = now() - interval '100 days'`);
    driver.press('X');
    await driver.waitFor(/Enter, Esc +Y +do it/);
    driver.press('X');
    await driver.waitFor('X does nothing here');
    driver.press('Y');
    await driver.waitFor('Archived 5 traces');
    driver.press('\rH');
    await driver.waitFor('┏━ Keys');
    driver.press('H');
    await driver.waitFor((lines) => !lines.join().includes('┏━ Keys'));
    driver.press('\x11');
    expect((await driver.waitForExit()).exitCode).toBe(0);

    writeFileSync(config, '[keys]\narchiv = "X"\n');
    const wrong = startConsole(database.url, { args });
    expect((await wrong.waitForExit()).exitCode).toBe(2);
    expect(wrong.text()).toContain('keys.archiv is no action');
    expect(wrong.text()).toContain('Did you mean archive-traces?');
  });
});

describe('the console on a connection marked as production', () => {
  it('shows its badge and settings, and asks for its name before anything is changed', async () => {
    const database = await createTestDatabase();
    await addTraces(database, 5);
    await database.query(`UPDATE execution_traces SET started_at = now() - interval '100 days'`);
    const config = join(mkdtempSync(join(tmpdir(), 'trace-console-config-')), 'config.toml');
    writeFileSync(
      config,
      `window = "6h"\n[connections.prod]\nurl = "${database.url}"\nproduction = true\ncolour = "red"\ninterval = "5s"\n`,
      { mode: 0o600 },
    );
    const driver = startConsole(undefined, { args: ['prod', '--config', config] });
    await driver.waitFor('● connected');
    await driver.waitFor(/ prod · PRODUCTION /);
    await driver.waitFor(/window 6h +every 5s/);
    const left = async () =>
      (await database.query<{ n: number }>('SELECT count(*)::int AS n FROM execution_traces'))
        .rows[0]?.n;
    driver.press('a');
    await driver.waitFor('prod');
    await driver.waitFor(/[Tt]ype/);
    driver.press('prud\r');
    await driver.waitFor('the word is "prod"');
    expect(await left()).toBe(5);
    driver.press('\x7f\x7f\x7f\x7fprod\r');
    await driver.waitFor('Archived 5 traces');
    expect(await left()).toBe(0);
  });
});
