import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildFixture } from './helpers/build-fixture.js';
import { spawn, type SpawnOptions, type TerminalDriver } from './helpers/terminal.js';

let program: string;
let stateFolder: string;
const open: TerminalDriver[] = [];

beforeAll(async () => {
  program = await buildFixture('small-console.tsx');
  stateFolder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-state-'));
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((driver) => driver.dispose()));
});

afterAll(() => {
  fs.rmSync(path.dirname(program), { recursive: true, force: true });
  fs.rmSync(stateFolder, { recursive: true, force: true });
});

async function start(options: SpawnOptions = {}): Promise<TerminalDriver> {
  const env = { XDG_STATE_HOME: stateFolder, ...options.env };
  const driver = spawn(process.execPath, [program], { cols: 60, rows: 12, ...options, env });
  open.push(driver);
  await driver.waitFor(/ticks [1-9]/);
  return driver;
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function readLog(): string {
  return fs.readFileSync(path.join(stateFolder, 'trace-console', 'console.log'), 'utf8');
}

describe('a program on the terminal layer', () => {
  it('takes the alternate screen without a cursor and draws what changes', async () => {
    const driver = await start();
    expect(driver.buffer).toBe('alternate');
    expect(driver.isCursorVisible).toBe(false);
    const before = driver.bytes;
    await driver.waitFor(/ticks [5-9]/);
    expect(driver.screen()[0]).toBe(`┌${'─'.repeat(58)}┐`);
    expect(driver.screen()[11]).toBe(`└${'─'.repeat(58)}┘`);
    // A tick changes one or two cells of 720.
    expect((driver.bytes - before) / 5).toBeLessThan(60);
  });

  it('sees fast typing as single keys, and a lone Escape as Escape', async () => {
    const driver = await start();
    driver.press('jjk\x1b');
    await driver.waitFor('keys j j k escape');
    driver.press('\x1b[Bx\x1b[6~');
    await driver.waitFor('escape down x pageDown');
  });

  it('keeps mouse, focus and replies from the keys, and takes a paste as one', async () => {
    const driver = await start();
    driver.press('\x1b[<0;10;10M\x1b[<0;10;10m\x1b[I\x1b[?62;22c\x1b]11;rgb:0/0/0\x1b\\a');
    driver.press('\x1b[200~two\r\nlines\x1b[31m q\x1b[201~b');
    await driver.waitFor('keys a b');
    await driver.waitFor('pasted 11 two⏎lines q');
  });

  it('goes on while a megabyte is pasted', async () => {
    const driver = await start();
    driver.press(`\x1b[200~${'x'.repeat(1_000_000)}\x1b[201~z`);
    await driver.waitFor('keys z');
    await driver.waitFor(/pasted 6553\d/);
  });

  it('fits every size of a resize storm, down to 20×5', async () => {
    const driver = await start();
    for (let step = 0; step < 200; step++) {
      driver.resize(20 + ((step * 67) % 180), 5 + ((step * 31) % 55));
      if (step % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      // The emulator keeps lines a taller screen had: nothing may ever have scrolled.
      expect(driver.emulator.buffer.active.baseY).toBe(0);
    }
    for (const [columns, rows] of [
      [20, 5],
      [200, 60],
      [33, 9],
    ] as const) {
      driver.resize(columns, rows);
      await driver.waitFor((lines) => {
        const isTop = lines[0] === `┌${'─'.repeat(columns - 2)}┐`;
        return isTop && lines[rows - 1] === `└${'─'.repeat(columns - 2)}┘`;
      });
    }
    await driver.waitFor('size 33x9');
  });

  it('follows new sizes with CI set, too', async () => {
    const driver = await start({ env: { CI: 'true' } });
    driver.resize(40, 10);
    await driver.waitFor('size 40x10');
    await driver.waitFor((lines) => lines[9] === `└${'─'.repeat(38)}┘`);
  });

  it('draws anew on Ctrl-L', async () => {
    const driver = await start();
    await new Promise<void>((resolve) =>
      driver.emulator.write('\x1b[2J\x1b[3Hwall: hello', resolve),
    );
    driver.press('\x0c');
    await driver.waitFor(
      (lines) => lines[0]?.startsWith('┌') === true && !lines.join().includes('wall'),
    );
  });

  it('has colours unless NO_COLOR is set', async () => {
    const coloured = await start();
    expect(coloured.cell(2, 1)?.isFgDefault()).toBe(false);
    const plain = await start({ env: { NO_COLOR: '1' } });
    expect(plain.cell(2, 1)?.isFgDefault()).toBe(true);
  });

  it('copies into the clipboard of the terminal', async () => {
    const driver = await start();
    driver.press('Y');
    await driver.waitFor(() => driver.clipboard.length > 0);
    expect(driver.clipboard).toEqual(['copied ✓']);
  });

  it('keeps the log of the console and of warnings off the screen, for its owner only', async () => {
    const driver = await start();
    driver.press('LW');
    await driver.waitFor('keys L W');
    expect(readLog()).toContain('info');
    expect(readLog()).toContain('a line for the log');
    expect(readLog()).toContain('a warning for the log');
    const file = path.join(stateFolder, 'trace-console', 'console.log');
    expect(fs.statSync(file).mode & 0o777).toBe(0o600);
    expect(driver.text()).not.toContain('for the log');
  });
});

describe('every end of the program', () => {
  const ends: [string, number, (driver: TerminalDriver) => void][] = [
    ['q', 0, (driver) => driver.press('q')],
    ['Ctrl-C', 130, (driver) => driver.press('\x03')],
    ['SIGINT', 130, (driver) => driver.kill('SIGINT')],
    ['SIGTERM', 143, (driver) => driver.kill('SIGTERM')],
    ['SIGHUP', 129, (driver) => driver.kill('SIGHUP')],
    ['SIGQUIT', 131, (driver) => driver.kill('SIGQUIT')],
    ['SIGABRT', 134, (driver) => driver.kill('SIGABRT')],
    ['an error in a key handler', 1, (driver) => driver.press('X')],
    ['an error in a component', 1, (driver) => driver.press('E')],
    ['a rejection nobody handles', 1, (driver) => driver.press('R')],
    ['process.exit', 7, (driver) => driver.press('P')],
  ];

  it.each(ends)('gives the terminal back after %s, with exit code %i', async (_name, code, act) => {
    const driver = await start();
    act(driver);
    expect(await driver.waitForExit()).toEqual({ exitCode: code, signal: 0 });
    expect(driver.buffer).toBe('normal');
    expect(driver.isCursorVisible).toBe(true);
    expect(driver.emulator.modes.bracketedPasteMode).toBe(false);
    expect(driver.emulator.modes.wraparoundMode).toBe(true);
    expect(driver.text()).not.toContain('┌');
  });

  it('leaves nothing of the frame around the prompt of a terminal without an alternate screen', async () => {
    const script = 'echo before; "$NODE" "$PROGRAM"; echo "the prompt"';
    const driver = spawn('/bin/bash', ['-c', script], {
      ...{ cols: 60, rows: 12 },
      env: { XDG_STATE_HOME: stateFolder, NODE: process.execPath, PROGRAM: program },
    });
    open.push(driver);
    // As xterm with titeInhibit and GNU screen with "altscreen off" do.
    for (const final of ['h', 'l']) {
      driver.emulator.parser.registerCsiHandler({ prefix: '?', final }, ([mode]) => mode === 1049);
    }
    await driver.waitFor(/ticks [1-9]/);
    expect(driver.buffer).toBe('normal');
    driver.press('q');
    await driver.waitForExit();
    expect(driver.screen().filter((line) => line !== '')).toEqual(['the prompt']);
  });

  it('shows the error and where the log is, and keeps secrets out of both', async () => {
    const driver = await start({ cols: 160 });
    driver.press('X');
    await driver.waitForExit();
    expect(driver.text()).toContain('error: the key handler failed with password=***');
    expect(driver.text()).toContain('console.log');
    expect(readLog()).toContain('the key handler failed with password=***');
    expect(readLog()).not.toContain('hunter2');
  });

  it('ends with 129 when the terminal is closed', async () => {
    const result = path.join(stateFolder, 'exit-code');
    const script = `trap '' HUP; "$NODE" "$PROGRAM"; echo "code $?" > "$RESULT"`;
    const driver = spawn('/bin/bash', ['-c', script], {
      env: {
        XDG_STATE_HOME: stateFolder,
        NODE: process.execPath,
        PROGRAM: program,
        RESULT: result,
      },
    });
    open.push(driver);
    await driver.waitFor(/ticks [1-9]/);
    driver.hangUp();
    await expect.poll(() => fs.existsSync(result), { timeout: 50_000 }).toBe(true);
    await expect.poll(() => fs.readFileSync(result, 'utf8')).toBe('code 129\n');
  });

  it('ends on a signal although the terminal takes nothing any more', async () => {
    const driver = await start({ cols: 300, rows: 100 });
    await fillStalled(driver);
    driver.kill('SIGTERM');
    await expect.poll(() => isAlive(driver.pid), { timeout: 50_000 }).toBe(false);
    driver.stall(false);
    expect((await driver.waitForExit()).exitCode).toBe(143);
  });

  it('gives back a terminal that takes its bytes late', async () => {
    const driver = await start({ cols: 300, rows: 100 });
    await fillStalled(driver);
    driver.press('q');
    driver.stall(false);
    expect((await driver.waitForExit()).exitCode).toBe(0);
    // The line may hold bytes when the end of the program is reported.
    await expect.poll(() => driver.buffer).toBe('normal');
  });
});

/** Stops reading, and makes the program write more than the line holds. */
async function fillStalled(driver: TerminalDriver): Promise<void> {
  driver.stall(true);
  for (let step = 0; step < 40; step++) {
    driver.resize(200 + (step % 2) * 100, 100);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}

describe('Ctrl-Z under a shell with job control', () => {
  it('gives the terminal to the shell, and takes it back with fg', async () => {
    const driver = spawn('/bin/bash', ['--norc', '--noprofile', '-i'], {
      cols: 60,
      rows: 12,
      env: { XDG_STATE_HOME: stateFolder, PS1: '$ ', NODE: process.execPath, PROGRAM: program },
    });
    open.push(driver);
    await driver.waitFor('$');
    driver.press('"$NODE" "$PROGRAM"; echo "code $?"\r');
    await driver.waitFor(/ticks [1-9]/);
    driver.press('\x1a');
    await driver.waitFor('Stopped');
    expect(driver.buffer).toBe('normal');
    expect(driver.isCursorVisible).toBe(true);
    driver.press('echo in the shell\r');
    await driver.waitFor('\nin the shell');
    driver.press('fg\r');
    await driver.waitFor(/ticks \d/);
    await driver.waitFor((lines) => lines[0]?.startsWith('┌') === true);
    expect(driver.buffer).toBe('alternate');
    driver.press('jq');
    await driver.waitFor('in the shell');
    expect(driver.buffer).toBe('normal');
    driver.press('exit\r');
    await driver.waitForExit();
  });
});
