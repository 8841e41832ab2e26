import { Console } from 'node:console';
import { Writable } from 'node:stream';
import type { LogFile } from './log-file.js';

type StandardError = { isTTY?: boolean; write: typeof process.stderr.write };

/**
 * Sends what would be printed over the screen to the log file: the console object, Node's
 * warnings, and stderr where it is the terminal. The result undoes it.
 */
export function redirectConsole(log: LogFile, stderr: StandardError = process.stderr): () => void {
  const originalConsole = globalThis.console;
  globalThis.console = new Console({ stdout: sink(log, 'info'), stderr: sink(log, 'error') });

  const warningListeners = process.rawListeners('warning');
  process.removeAllListeners('warning');
  const logWarning = (warning: Error) => log.write('warning', warning.stack ?? String(warning));
  process.on('warning', logWarning);

  const writeError = stderr.write;
  if (stderr.isTTY === true) {
    stderr.write = (text: string | Uint8Array, ...rest: unknown[]) => {
      log.write('error', typeof text === 'string' ? text : Buffer.from(text).toString('utf8'));
      const done = rest.findLast((value) => typeof value === 'function');
      if (done) process.nextTick(done);
      return true;
    };
  }

  return () => {
    globalThis.console = originalConsole;
    process.off('warning', logWarning);
    for (const listener of warningListeners)
      process.on('warning', listener as (warning: Error) => void);
    stderr.write = writeError;
  };
}

function sink(log: LogFile, level: 'info' | 'error'): Writable {
  return new Writable({
    decodeStrings: false,
    write(text: string | Buffer, _encoding, done) {
      log.write(level, text.toString());
      done();
    },
  });
}
