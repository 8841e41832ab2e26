import { formatAge } from '../../../core/format/time.js';
import { hasConsoleTable } from '../../../deploy/console-schema.js';
import { good, skipped, type Check } from '../check.js';
import os from 'node:os';
import { counted, formatBytes } from '../../../core/format/number.js';
import {
  collectorOf,
  readStatus,
  reportOf,
  silenceOf,
} from '../../../ingest/collector/status-file.js';
import { locateHookProgram } from '../../../ingest/install/agent.js';
import { spoolFolder } from '../../../ingest/spool/append.js';

type SourceRow = { cli: string; host: string; events: number; unknown: number; age_ms: number };
type QuarantineRow = { count: number; error: string | null };

export const agentEvents: Check = {
  id: 'agent-events',
  title: 'Events of agents',
  why: 'The collector puts aside what the database refuses; nobody sees those events until somebody looks.',
  async run({ tx, capabilities: { schema } }) {
    if (!(await hasConsoleTable(tx, 'spool_sources'))) {
      return skipped('nothing was collected from agents here');
    }
    const { rows: sources } = await tx.query<SourceRow>(
      `SELECT cli, COALESCE(host, '') AS host, events, unknown_events AS unknown,
         (extract(epoch FROM clock_timestamp() - last_event_at) * 1000)::float8 AS age_ms
       FROM trace_console.spool_sources WHERE target_schema = $1 ORDER BY last_event_at DESC LIMIT 50`,
      [schema],
    );
    if (sources.length === 0) return skipped('nothing was collected from agents here');
    const items = sources.map(
      ({ cli, host, events, unknown, age_ms: age }) =>
        `${cli} on ${host}: ${counted(events, 'event')}, ${unknown} unknown, the last ${formatAge(age)} ago`,
    );
    // Newest first, by the primary key; a thousand say as much as all.
    const { rows } = await tx.query<QuarantineRow>(
      `SELECT count(*)::int AS count, max(error) AS error FROM (
         SELECT error FROM trace_console.quarantined_events WHERE target_schema = $1
         ORDER BY id DESC LIMIT 1000) AS newest`,
      [schema],
    );
    const { count = 0, error = null } = rows[0] ?? {};
    if (count === 0) return good(`${items.join('; ')}.`);
    return {
      severity: 'warning',
      evidence: `${counted(count, 'event')} could not be written: ${error ?? ''}`,
      items,
      fix: 'Look at them; once the reason is gone, delete them.',
      command: 'SELECT * FROM trace_console.quarantined_events ORDER BY id DESC;',
    };
  },
};

/** A collector that was away leaves up to this much for a while; more means that nobody collects (bytes). */
const backlogLimit = 16 * 1024 * 1024;

export const agentHooks: Check = {
  id: 'agent-hooks',
  title: 'Hooks of agents',
  why: 'A hook that is switched off, or a spool that nobody collects from, looks like agents that do nothing.',
  run: () => verdict(),
};

async function verdict() {
  // Loaded only here, because they need the parsers of JSON with comments and of TOML.
  const { agents } = await import('../../../ingest/install/registry.js');
  const { findInstallations } = await import('../../../ingest/install/change.js');
  const surroundings = { home: os.homedir(), project: process.cwd(), environment: process.env };
  const hookProgram = locateHookProgram();
  const installed = agents.flatMap((agent) => findInstallations(agent, surroundings, hookProgram));
  const folder = spoolFolder(process.env, os.homedir);
  const silence = silenceOf(folder);
  if (installed.length === 0 && !silence) {
    return skipped('no agent has the hooks of trace-console here');
  }
  const items = installed.flatMap(({ agent, file, problems }) => [
    ...problems.map((problem) => `${agent.title}: ${file}: ${problem}`),
    ...(agent.kind === 'plugin'
      ? []
      : agent.obstacles(surroundings).map((obstacle) => `${agent.title}: ${obstacle}`)),
  ]);
  // The first is the evidence: while it is silent, nothing comes in from any agent.
  if (silence) {
    items.unshift(
      `The collector does not answer (process ${silence.pid}), for ${formatAge(silence.ms)}: nothing that agents tell is written meanwhile`,
    );
  }
  const { waiting } = reportOf(folder);
  const status = readStatus(folder);
  if (waiting.dropped > 0)
    items.push(`${counted(waiting.dropped, 'event')} were dropped: the spool was full`);
  if (waiting.bytes > backlogLimit) {
    const reason = collectorOf(folder)
      ? `the collector waits: ${status?.reason ?? ''}`
      : 'no collector runs';
    items.push(`${formatBytes(waiting.bytes)} wait in the spool: ${reason}`);
  }
  const [first] = items;
  const names = [...new Set(installed.map(({ agent }) => agent.title))].join(', ');
  if (first === undefined)
    return good(`${names}: installed; ${counted(waiting.events, 'event')} wait.`);
  return {
    severity: 'warning' as const,
    evidence: `${first}.`,
    items,
    fix: silence ? `${silence.fix}.` : 'See what "hooks status" and "collect status" say.',
    command: 'trace-console hooks status',
  };
}
