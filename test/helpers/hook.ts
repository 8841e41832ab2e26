import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { inject } from 'vitest';

export type HookRun = { exitCode: number | null; output: string };

export type HookOptions = {
  cli?: string;
  /** The event, where the payload does not name it. */
  event?: string;
  /** The program; default: the bundled hook of this run. */
  program?: string;
  /** Beside PATH; without HOME unless it is given. No collector is started unless asked for. */
  env?: Record<string, string>;
  onStart?: (pid: number) => void;
};

/** Runs the hook as an agent's CLI does: the payload on stdin, everything it prints in `output`. */
export function runHook(payload: unknown, options: HookOptions = {}): Promise<HookRun> {
  const { cli = 'claude', event, program = join(inject('programs'), 'hook.cjs') } = options;
  const input =
    typeof payload === 'string' || payload instanceof Buffer ? payload : JSON.stringify(payload);
  return new Promise((resolve, reject) => {
    const args = [program, ...(program.endsWith('.cjs') ? [] : ['hook']), cli];
    const child = spawn(process.execPath, event === undefined ? args : [...args, event], {
      env: { PATH: process.env.PATH, TRACE_CONSOLE_COLLECTOR: 'off', ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    child.on('error', reject);
    child.on('close', (exitCode) => resolve({ exitCode, output }));
    // A hook that was killed does not read on.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    if (child.pid !== undefined) options.onStart?.(child.pid);
  });
}
