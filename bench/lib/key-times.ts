import { setTimeout as sleep } from 'node:timers/promises';
import { spawn, type TerminalDriver } from '../../test/e2e/helpers/terminal.js';
import { quantile } from './quantile.js';

const echo = `process.stdin.setRawMode(true).on('data', (key) => process.stdout.write('\\x1b[H┏━ ' + key + ' ─'))`;

/** A program that does nothing but show the key: what it takes is the machine's share in a console's time. */
export const openEcho = (screen: { cols: number; rows: number }): TerminalDriver =>
  spawn(process.execPath, ['-e', echo], screen);

/** Milliseconds from a key that focuses a pane to the frame that shows it in focus. */
function timeOfKey(terminal: TerminalDriver, pane: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const late = setTimeout(() => reject(new Error(`no frame after ${pane}`)), 30_000);
    const looking = terminal.emulator.onWriteParsed(() => {
      if (!terminal.text().includes(`┏━ ${pane} `)) return;
      looking.dispose();
      clearTimeout(late);
      resolve(performance.now() - started);
    });
    terminal.press(String(pane));
  });
}

/** By terminal: the console, a program that only echoes, and another version of the console. */
export type KeyTimes = { console: number[]; echo: number[]; before: number[] };

/** Focuses the panes of the overview in turn, in each terminal after the other, for as long as `goesOn`. */
export async function timeKeys(
  terminals: { console: TerminalDriver; echo: TerminalDriver; before?: TerminalDriver | undefined },
  goesOn: (press: number) => boolean | Promise<boolean>,
  pauseMs: number,
): Promise<KeyTimes> {
  const times: KeyTimes = { console: [], echo: [], before: [] };
  for (let press = 0; await goesOn(press); press += 1) {
    await sleep(20 + ((press * 37) % pauseMs));
    const pane = 1 + ((press + 1) % 6);
    times.console.push(await timeOfKey(terminals.console, pane));
    if (terminals.before) times.before.push(await timeOfKey(terminals.before, pane));
    times.echo.push(await timeOfKey(terminals.echo, pane));
  }
  return times;
}

export function spreadOf(times: readonly number[]): string {
  const [middle, late] = [quantile(times, 0.5), quantile(times, 0.99)];
  return `p50 ${middle.toFixed(1)} ms, p99 ${late.toFixed(1)} ms, max ${Math.max(...times).toFixed(1)} ms`;
}
