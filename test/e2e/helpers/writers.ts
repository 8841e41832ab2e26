import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

const fixtures = path.join(import.meta.dirname, '../fixtures');

export type Writers = {
  /** The folder of the socket. */
  host: string;
  port: number;
  processes: number;
  /** Each is a process of psql (given by its path), or of Node with pg. */
  psql?: string;
};

/**
 * Starts many processes at once, each of which writes one trace with three hooks and a call and
 * ends. A shell starts them: forking this process two hundred times would stop it for a second. They
 * are a session of their own, as those of another terminal are: Linux divides the processors by
 * session first, and in ours they would keep from work whoever reads the console's screen.
 *
 * @throws Error when one of them failed
 */
export async function writeAtOnce({ host, port, processes, psql }: Writers): Promise<void> {
  const writer =
    psql === undefined
      ? `'${process.execPath}' '${fixtures}/write-trace.mjs' '${host}' ${port} "writer $n"`
      : `'${psql}' -X -q -h '${host}' -p ${port} -U postgres -d postgres -v ON_ERROR_STOP=1 -v writer="writer $n" -f '${fixtures}/write-trace.sql'`;
  const script = `
    pids=
    for n in $(seq ${processes}); do ${writer} & pids="$pids $!"; done
    failed=0
    for pid in $pids; do wait $pid || failed=$((failed + 1)); done
    [ $failed -eq 0 ] || { echo "$failed writers failed" >&2; exit 1; }`;
  const shell = spawn('sh', ['-c', script], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaints = '';
  shell.stderr.on('data', (piece: Buffer) => (complaints += piece.toString('utf8')));
  const [code] = (await once(shell, 'close')) as [number | null];
  if (code !== 0) throw new Error(`the writers failed: ${complaints.slice(-2_000)}`);
}

/** Traces and their children as the writers leave them; equal to {@link writtenBy} when none is lost or doubled. */
export const writtenStatement = `
SELECT
  (SELECT count(*) FROM execution_traces WHERE project LIKE 'writer %')::int AS traces,
  (SELECT count(DISTINCT project) FROM execution_traces WHERE project LIKE 'writer %')::int AS writers,
  (SELECT count(*) FROM hook_executions AS h JOIN execution_traces AS t ON t.id = trace_id
   WHERE project LIKE 'writer %')::int AS hooks,
  (SELECT count(*) FROM endpoint_calls AS c JOIN execution_traces AS t ON t.id = trace_id
   WHERE project LIKE 'writer %')::int AS calls`;

export const writtenBy = (processes: number) => ({
  traces: processes,
  writers: processes,
  hooks: 3 * processes,
  calls: processes,
});
