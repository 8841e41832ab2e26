import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { buildFixture } from '../../e2e/helpers/build-fixture.js';
import type { Acknowledged } from '../../e2e/fixtures/demo-traffic.js';
import { noConfigFile } from '../../helpers/cli.js';

const rowsAtOnce = 20_000;

/** The demo's live traffic in a process of its own, with a list of what the database has acknowledged. */
export class Traffic {
  readonly #folder = mkdtempSync(join(tmpdir(), 'trace-console-traffic-'));
  #child: ChildProcess | undefined;

  async start(url: string, rate: number): Promise<void> {
    const program = await buildFixture('demo-traffic.ts');
    this.#child = spawn(process.execPath, [program, url, String(rate), this.#file('rows')], {
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...noConfigFile },
      stdio: ['ignore', openSync(this.#file('summary'), 'w'), openSync(this.#file('log'), 'w')],
    });
  }

  /** What it told of its progress. */
  get log(): string {
    return readFileSync(this.#file('log'), 'utf8');
  }

  get running(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null;
  }

  /** Ends it as Ctrl-C does; returns its summary. */
  async end(): Promise<{ traces: number; missed: number; longestLagMs: number }> {
    const child = this.#child;
    if (child && this.running) {
      const closed = once(child, 'close', { signal: AbortSignal.timeout(120_000) });
      child.kill('SIGTERM');
      await closed;
    }
    if (child?.exitCode !== 0) throw new Error(`the traffic ended early:\n${this.log}`);
    return JSON.parse(readFileSync(this.#file('summary'), 'utf8')) as ReturnType<Traffic['end']>;
  }

  /** What was acknowledged beside what is there: rows without the other, traces of another status, counts that differ. */
  async compare(url: string): Promise<{ acknowledged: number; differences: object }> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      await client.query(
        'CREATE TEMP TABLE acknowledged (place text, id uuid, status text, PRIMARY KEY (place, id))',
      );
      const counts = { usages: 0, chains: 0, errors: 0 };
      let rows = new Map<string, [place: string, id: string, status: string | null]>();
      const flush = async () => {
        const all = [...rows.values()];
        await client.query(
          store,
          [0, 1, 2].map((column) => all.map((row) => row[column])),
        );
        rows = new Map();
      };
      const keep = (place: string, id: string, status: string | null = null) =>
        rows.set(`${place} ${id}`, [place, id, status]);
      for await (const line of createInterface({ input: createReadStream(this.#file('rows')) })) {
        const { traces, children, usages, chains, errors } = JSON.parse(line) as Acknowledged;
        for (const [id, status] of traces) keep('execution_traces', id, status);
        for (const [table, ids] of children) for (const id of ids) keep(table, id);
        counts.usages += usages;
        counts.chains += chains;
        counts.errors += errors;
        if (rows.size >= rowsAtOnce) await flush();
      }
      await flush();
      const found = await client.query<Record<string, number>>(differences, Object.values(counts));
      const total = await client.query<{ n: number }>(
        'SELECT count(*)::int AS n FROM acknowledged',
      );
      return { acknowledged: total.rows[0]?.n ?? 0, differences: found.rows[0] ?? {} };
    } finally {
      await client.end();
    }
  }

  remove(): void {
    if (this.running) this.#child?.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #file(name: string): string {
    return join(this.#folder, name);
  }
}

const store = `
INSERT INTO acknowledged SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[])
ON CONFLICT (place, id) DO UPDATE SET status = EXCLUDED.status`;

const tables = [
  'execution_traces',
  'agent_routing_decisions',
  'hook_executions',
  'endpoint_calls',
] as const;

/** What is not as it should be; `$1` to `$3`: how often patterns were used, and chains and errors seen. */
const differences = `
SELECT
  ${tables.map((table) => `(SELECT count(*)::int FROM acknowledged AS a WHERE place = '${table}' AND NOT EXISTS (SELECT FROM ${table} AS t WHERE t.id = a.id)) AS "lost of ${table}"`).join(',\n  ')},
  ${tables.map((table) => `(SELECT count(*)::int FROM ${table} AS t WHERE NOT EXISTS (SELECT FROM acknowledged AS a WHERE place = '${table}' AND t.id = a.id)) AS "unasked in ${table}"`).join(',\n  ')},
  (SELECT count(*)::int FROM acknowledged AS a JOIN execution_traces AS t USING (id)
   WHERE place = 'execution_traces' AND t.status <> a.status) AS "traces of another status",
  (SELECT count(*)::int FROM pattern_usage_log) - $1::int AS "uses of patterns",
  (SELECT sum(total_usage_count)::int FROM success_patterns) - $1::int AS "uses counted by patterns",
  (SELECT COALESCE(sum(occurrence_count), 0)::int FROM agent_chaining_patterns) - $2::int AS chains,
  (SELECT COALESCE(sum(occurrence_count), 0)::int FROM error_patterns) - $3::int AS errors`;
