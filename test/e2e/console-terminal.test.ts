import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { Keymap, keyText } from '../../src/ui/keymap.js';
import { scopes } from '../../src/ui/views/registry.js';
import { noConfigFile } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { buildFixture } from './helpers/build-fixture.js';
import { expectIntact, openConsole, sizes, startConsole } from './helpers/console.js';
import { addTraces } from './helpers/console-rows.js';
import { spawn, type TerminalDriver } from './helpers/terminal.js';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await addTraces(database, 20);
});

/** What a terminal sends for a key of the key map. */
const sequences: Readonly<Record<string, string>> = {
  ...{ up: '\x1b[A', down: '\x1b[B', right: '\x1b[C', left: '\x1b[D', home: '\x1b[H' },
  ...{ end: '\x1b[F', pageUp: '\x1b[5~', pageDown: '\x1b[6~', tab: '\t', 'shift+tab': '\x1b[Z' },
  ...{ enter: '\r', escape: '\x1b', space: ' ', backspace: '\x7f' },
};

function sequenceOf(key: string): string {
  const control = /^ctrl\+(.)$/.exec(key)?.[1];
  if (control !== undefined) return String.fromCharCode(control.charCodeAt(0) & 0x1f);
  const sequence = sequences[key] ?? key;
  if (sequence.length > 1 && !sequence.startsWith('\x1b')) throw new Error(`what is ${key}?`);
  return sequence;
}

/** These end the console or leave it; their tests are further down. */
const leaving = new Set(['quit', 'interrupt', 'suspend']);
/** What follows them is text. */
const prompting = new Set(['sort-by', 'filter', 'command-line']);

describe.each(sizes)('in a terminal of $cols×$rows the console', (size) => {
  it('knows every key of its key map, and stays whole whatever is pressed', async () => {
    const driver = await openConsole(database.url, size);
    const unknown: string[] = [];
    let pressed = '';
    driver.emulator.onWriteParsed(() => {
      // In the panes it says how to find the keys; a dialog that has just opened does not.
      const isUnknown = driver.text().includes(` ${keyText(pressed)} does nothing here; `);
      if (isUnknown) unknown.push(pressed);
    });
    for (const { keys, id } of new Keymap(scopes).in({ id: 'panes' })) {
      if (leaving.has(id)) continue;
      for (const key of keys) {
        pressed = key;
        driver.press(sequenceOf(key));
        // No key at all: the answer says that the one before was seen, and where the keys go now.
        const answered = () => /% does nothing here.*/.exec(driver.text())?.[0] ?? '';
        if (prompting.has(id)) driver.press('x\x1b');
        // Every key takes the message of the one before away.
        await driver.waitFor(() => answered() === '');
        await sleep(key === 'escape' || prompting.has(id) ? 60 : 0);
        driver.press('%');
        await driver.waitFor(() => answered() !== '');
        expectIntact(driver, size);
        while (!answered().includes('? shows the keys')) {
          driver.press('\x1b');
          await driver.waitFor(() => answered() === '');
          driver.press('%');
          await driver.waitFor(() => answered() !== '');
        }
        // The message goes with the next key that does something.
        driver.press('\x0c');
      }
    }
    expect(unknown).toEqual([]);
    expect(driver.exit).toBeUndefined();
  });
});

function expectTerminalBack(driver: TerminalDriver): void {
  expect(driver.buffer).toBe('normal');
  expect(driver.isCursorVisible).toBe(true);
  expect(driver.emulator.modes.bracketedPasteMode).toBe(false);
  expect(driver.emulator.modes.wraparoundMode).toBe(true);
  expect(driver.text()).not.toMatch(/[┌┏]/);
}

/** A folder for the log, and the environment that names the program to a shell. */
function shellEnvironment(program: string): Record<string, string> {
  const state = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-state-'));
  onTestFinished(() => fs.rmSync(state, { recursive: true, force: true }));
  return {
    XDG_STATE_HOME: state,
    ...noConfigFile,
    NODE: process.execPath,
    PROGRAM: program,
    URL: database.url,
    RESULT: path.join(state, 'code'),
  };
}

function inShell(args: readonly string[], env: Record<string, string>): TerminalDriver {
  const driver = spawn('/bin/bash', args, { cols: 120, rows: 35, env });
  onTestFinished(() => driver.dispose());
  return driver;
}

const mainProgram = () => path.join(inject('programs'), 'main.js');
const filled = /1 Recent traces[\s\S]*20 in 1h/;

describe('Ctrl-Z in the console', () => {
  it('gives the terminal to the shell; fg brings the panes back, at the size of now', async () => {
    const env = { ...shellEnvironment(mainProgram()), PS1: '$ ' };
    const driver = inShell(['--norc', '--noprofile', '--noediting', '-i'], env);
    await driver.waitFor('$');
    driver.press('"$NODE" "$PROGRAM" --url "$URL"; echo "code $?"\r');
    await driver.waitFor(filled, 30_000);
    driver.press('\x1a');
    await driver.waitFor('Stopped');
    expectTerminalBack(driver);
    driver.press('echo in the shell\r');
    await driver.waitFor('\nin the shell');
    driver.resize(100, 30);
    driver.press('fg\r');
    await driver.waitFor(filled, 30_000);
    await driver.waitFor((lines) => lines[29]?.includes('q quit') === true);
    expect(driver.buffer).toBe('alternate');
    expectIntact(driver, { cols: 100, rows: 30 });
    driver.press('?');
    await driver.waitFor('┏━ Keys');
    driver.press('qq');
    await driver.waitFor('in the shell');
    expectTerminalBack(driver);
    driver.press('exit\r');
    await driver.waitForExit();
  });
});

describe('an error in a key handler of the console', () => {
  it('gives the terminal back with exit code 1, and says what and where the log is', async () => {
    const program = await buildFixture('crashing-console.ts');
    onTestFinished(() => fs.rmSync(path.dirname(program), { recursive: true, force: true }));
    const env = shellEnvironment(program);
    const driver = spawn(process.execPath, [program, database.url], { cols: 160, rows: 45, env });
    onTestFinished(() => driver.dispose());
    await driver.waitFor(filled, 30_000);
    driver.press('s');
    expect((await driver.waitForExit()).exitCode).toBe(1);
    expectTerminalBack(driver);
    expect(driver.text()).toContain('error: the sort failed with password=*** of ***');
    expect(driver.text()).toMatch(/More is in .*console\.log/);
  });
});

describe('a terminal that is closed under the console', () => {
  it('ends it with 129, and its connections to the server', async () => {
    const env = shellEnvironment(mainProgram());
    const script = `trap '' HUP; "$NODE" "$PROGRAM" --url "$URL"; echo "code $?" > "$RESULT"`;
    const driver = inShell(['-c', script], env);
    await driver.waitFor(filled, 30_000);
    driver.hangUp();
    const file = env.RESULT ?? '';
    const result = () => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');
    await expect.poll(result, { timeout: 50_000 }).toBe('code 129\n');
    const others = async () => {
      const { rows } = await database.query<{ n: number }>(
        `SELECT count(*)::int AS n FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'trace-console'`,
      );
      return rows[0]?.n;
    };
    await expect.poll(others, { timeout: 50_000 }).toBe(0);
  });
});

describe('a console without a keyboard', () => {
  it.each(['</dev/null', '<&-'])(
    'prints the status once with %s, and ends with 0',
    async (input) => {
      // The shell stays until all was read: what is in the pty when its last program ends may be lost.
      const script = `"$NODE" "$PROGRAM" --url "$URL" ${input}; echo "code $?"; cat`;
      const driver = inShell(['-c', script], shellEnvironment(mainProgram()));
      await driver.waitFor('code 0', 30_000);
      expect(driver.buffer).toBe('normal');
      expect(driver.text()).toContain('ACTIVITY');
      driver.press('\x04');
      await driver.waitForExit();
    },
  );
});

describe('a server that never answers', () => {
  it.each([
    ['q', 0, (driver: TerminalDriver) => driver.press('q')],
    ['SIGTERM', 143, (driver: TerminalDriver) => driver.kill('SIGTERM')],
  ])('does not keep the console: %s ends it at once', async (_name, exitCode, act) => {
    const silent = net.createServer((socket) => void socket.on('error', () => undefined));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void silent.close());
    const address = silent.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const driver = startConsole(`postgresql://nobody@127.0.0.1:${port}/none`);
    await driver.waitFor('connecting');
    await driver.waitFor('q quit');
    act(driver);
    expect((await driver.waitForExit()).exitCode).toBe(exitCode);
    expectTerminalBack(driver);
  });
});
