import { counted, formatBytes, formatMoney } from '../core/format/number.js';
import { formatAge, formatMoment } from '../core/format/time.js';
import type { Database } from '../db/database.js';
import { hasConsoleTable } from '../deploy/console-schema.js';
import type { Found } from '../ingest/discover.js';
import type { ImportResult } from '../ingest/import.js';
import type {
  Action,
  ActionContext,
  Fact,
  OfferCommand,
  Outcome,
  Preview,
  Progress,
} from './action.js';

/** Which transcripts are brought in: files and folders; absent: the programs' own folders on this machine. */
export type ImportSessionsInput = { paths?: readonly string[] };

export const importCommand: OfferCommand = {
  id: 'import',
  key: 'i',
  title: "bring in the sessions of agents' programs on this machine, after a preview",
};

/**
 * Brings the sessions of agents' programs on this machine into the database, and goes on with what comes. What reads them
 * is loaded when it is needed: the console starts without it.
 */
export const importSessions: Action<ImportSessionsInput, ImportResult> = {
  id: 'import-sessions',
  title: 'Import agent sessions',
  requires: ['primary', 'all-rows'],
  exclusive: { name: 'import-sessions', whenTaken: 'refuse' },
  subject: ({ paths }) => paths?.join(', ') ?? 'of this machine',
  tables: () => [
    'execution_traces',
    'agent_routing_decisions',
    'hook_executions',
    'endpoint_calls',
  ],
  offers: [
    {
      command: importCommand,
      choose: () => ({ title: 'Import agent sessions', input: {} }),
    },
  ],
  preview,
  run,
};

async function preview(
  { database, follow }: ActionContext,
  input: ImportSessionsInput,
): Promise<Preview> {
  const { findFiles, summarise, transcriptSources } = await import('../ingest/discover.js');
  const found = summarise(await findFiles(input));
  const programs = transcriptSources.map(({ title }) => title).join(', ');
  return {
    title: 'Import agent sessions',
    facts: [
      ...found.map((each) => ({ label: each.source.title, value: describe(each) })),
      placeFact(database),
      { label: 'Secrets', value: 'taken out before anything is written' },
      { label: 'Again', value: 'brings in what is new, and changes nothing else' },
      ...(follow
        ? [
            {
              label: 'Then',
              value:
                'the collector goes on in the background: open sessions, and whatever hooks report (trace-console hooks install)',
            },
          ]
        : []),
    ],
    sql: [],
    warnings: [],
    ...(found.length === 0
      ? { nothing: `There are no sessions of ${programs} in the folders of this user.` }
      : {}),
  };
}

function describe({ sessions, files, bytes, oldestAt, newestAt }: Found): string {
  const newest = `${formatAge(Date.now() - newestAt)} ago`;
  const ages =
    files === 1 ? `written ${newest}` : `written ${formatMoment(new Date(oldestAt))} to ${newest}`;
  return `${counted(sessions, 'session')} in ${counted(files, 'file')}, ${formatBytes(bytes)}, ${ages}`;
}

/** Where the rows go, and so whether prompts and results leave this machine: the user has to decide that. */
function placeFact({ capabilities, address }: Database): Fact {
  const { embedded, database, schema } = capabilities;
  if (embedded) return { label: 'Into', value: 'the embedded database: it stays on this machine' };
  const { host, port } = address;
  const isHere = host.startsWith('/') || ['localhost', '127.0.0.1', '::1'].includes(host);
  const where = `${database} on ${host}:${port}, schema ${schema}`;
  return {
    label: 'Into',
    value: isHere
      ? `${where}: a server on this machine`
      : `${where}: prompts and results of tools leave this machine`,
  };
}

async function* run(
  { database, signal, follow }: ActionContext,
  input: ImportSessionsInput,
): AsyncGenerator<Progress, Outcome<ImportResult>> {
  const [{ findFiles }, { importSessions: importFiles, shownProgress }, { Prices }, { Recorder }] =
    await Promise.all([
      import('../ingest/discover.js'),
      import('../ingest/import.js'),
      import('../ingest/prices.js'),
      import('../ingest/recorder.js'),
    ]);
  const files = await findFiles(input);
  const prices = new Prices();
  const recorder = new Recorder(database, { prices });
  const events = importFiles(files, { database, recorder, prices, signal });
  for (;;) {
    const { value, done } = await events.next();
    if (done) {
      const notFollowed = signal.aborted ? [] : await failureToFollow(follow);
      const seen = await lastSeen(database);
      const [since] = seen;
      return {
        summary: [summaryOf(value, signal.aborted), ...notFollowed].join(' '),
        cancelled: signal.aborted,
        result: value,
        ...(since === undefined ? {} : { shows: { rows: 'session', since, seen } }),
      };
    }
    yield shownProgress(value);
  }
}

/** What has come is in the database, whether or not the collector starts. */
async function failureToFollow(follow: ActionContext['follow']): Promise<string[]> {
  try {
    await follow?.();
    return [];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [`What comes from now on is not followed: ${reason}`];
  }
}

/** When sessions gave their last sign of life, milliseconds since 1970, the newest first: files may have been copied since. */
async function lastSeen(database: Database): Promise<readonly number[]> {
  return database.transaction({ readOnly: true }, async (tx) => {
    if (!(await hasConsoleTable(tx, 'agent_sessions'))) return [];
    const { rows } = await tx.query<{ at: number }>(
      `SELECT (date_part('epoch', last_seen_at) * 1000)::float8 AS at
       FROM trace_console.agent_sessions WHERE target_schema = $1 AND last_seen_at IS NOT NULL
       ORDER BY last_seen_at DESC LIMIT 10000`,
      [database.capabilities.schema],
    );
    return rows.map(({ at }) => at);
  });
}

function summaryOf(result: ImportResult, isCancelled: boolean): string {
  const { sessions, prompts, toolCalls, costUsd, written, unreadable } = result;
  const [first] = unreadable;
  const unread =
    first === undefined
      ? ''
      : ` Not read: ${counted(unreadable.length, 'file')}, ${first.path} (${first.reason}).`;
  const rows = Object.values(written.rows).reduce((sum, count) => sum + count, 0);
  if (rows === 0 && !isCancelled) return `Nothing new was found.${unread}`;
  return `${isCancelled ? 'Cancelled after' : 'Imported'} ${counted(sessions, 'session')}: ${counted(prompts, 'prompt')}, ${counted(toolCalls, 'tool call')}, ${formatMoney(costUsd)}; ${counted(rows, 'row')}.${unread}`;
}
