// The program that an agent's CLI runs for each event: dist/hook.cjs. The agent may be waiting for it, so it loads the
// file system and nothing else, puts the event into the spool and ends. Whatever happens it prints nothing and exits with
// 0: any other code, and for some events any output, would change what the agent does.
import fs from 'node:fs';
import {
  appendFrame,
  collectorLock,
  lockFreshMs,
  spoolFolder,
  spoolLimit,
  startingFile,
} from '../spool/append.js';
import { frameOf, type Received } from './record.js';

declare const require: NodeJS.Require;
declare const module: NodeJS.Module;
declare const __dirname: string;

/** What the collector is started with; the agent's own database variables are not among it. */
const passedOn =
  /^(PATH|HOME|USER|LOGNAME|LANG|LC_.*|TZ|TMPDIR|XDG_.*|TRACE_CONSOLE_.*|CLAUDE_CONFIG_DIR|CODEX_HOME|PGPASSFILE|SYSTEMROOT|APPDATA|LOCALAPPDATA|USERPROFILE)$/;

/** A collector that was started has so long (ms) to take its lock before another is started. */
const startingMs = 10_000;

/** One that could not begin is given a rest until a time to come. What lies further ahead (ms) was written by a wrong clock. */
const farAheadMs = 600_000;

/** Reads an event of `cli` from stdin. @param words the arguments: CLI, and the event where its payload does not say */
export function run(words: readonly string[]): void {
  try {
    const [cli = '', event] = words;
    receive({ cli, event, ...readInput(), atMs: Date.now() });
  } catch {
    // Nothing is reported: a hook must not print.
  }
  // Nothing is left to wait for, and taking the process down piece by piece takes longer than the redaction. `exit` ends
  // with `reallyExit`, which every Node so far has, and takes a hundredth of the whole to ask who listens.
  (process as { reallyExit?: (code: number) => void }).reallyExit?.(0);
  process.exit(0);
}

/** Puts one event into the spool, and sees to it that a collector lives. Never throws. */
export function receive(event: Received): void {
  try {
    const folder = spoolFolder(process.env, () =>
      (require('node:os') as typeof import('node:os')).homedir(),
    );
    appendFrame(folder, frameOf(event, process.env), spoolLimit(process.env));
    if (process.env.TRACE_CONSOLE_COLLECTOR !== 'off' && !collectorLives(folder)) {
      startCollector(folder);
    }
  } catch {
    // The disk is full, or the folder is not ours: the agent goes on all the same.
  }
}

/** What stands before the input in its frame is shorter. */
const headRoom = 16_384;

function readInput(): { input: Buffer; around: Buffer } {
  let room = Buffer.allocUnsafeSlow(headRoom + 262_144);
  let end = headRoom;
  const whole = () => ({ input: room.subarray(headRoom, end), around: room });
  for (;;) {
    if (end === room.length) room = Buffer.concat([room], 4 * room.length);
    try {
      const read = fs.readSync(0, room, end, room.length - end, null);
      if (read === 0) return whole();
      end += read;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // On Windows the end of a pipe is this error.
      if (code === 'EOF') return whole();
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
  }
}

function collectorLives(folder: string): boolean {
  const lock = `${folder}/${collectorLock}`;
  try {
    const { pid } = JSON.parse(fs.readFileSync(lock, 'utf8')) as { pid: number };
    // After a reboot another process may have the pid.
    const age = Date.now() - fs.statSync(lock).mtimeMs;
    if (age > lockFreshMs || age < -farAheadMs) return false;
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function startCollector(folder: string): void {
  const starting = `${folder}/${startingFile}`;
  if (!isFirstToStart(starting)) return;
  const { spawn } = require('node:child_process') as typeof import('node:child_process');
  const environment = Object.entries(process.env).filter(([name]) => passedOn.test(name));
  const collector = spawn(process.execPath, [`${__dirname}/main.js`, 'collect', '--background'], {
    cwd: folder,
    detached: true,
    stdio: 'ignore',
    windowsHide: true,
    env: { ...Object.fromEntries(environment), TRACE_CONSOLE_SPOOL: folder },
  });
  collector.on('error', () => undefined).unref();
  fs.writeFileSync(starting, String(collector.pid ?? ''));
}

/** Of many hooks at once one starts the collector. */
function isFirstToStart(file: string): boolean {
  const since = fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs;
  if (since !== undefined) {
    const age = Date.now() - since;
    if (age < startingMs && age > -farAheadMs) return false;
    fs.rmSync(file, { force: true });
  }
  try {
    fs.closeSync(fs.openSync(file, 'wx', 0o600));
    return true;
  } catch {
    return false;
  }
}

if (require.main === module) run(process.argv.slice(2));
