/**
 * The integration tests that run a second time on the embedded engine
 * (`TRACE_CONSOLE_TEST_ENGINE=embedded npx vitest run`), and what does not, with the reason. All of
 * them run on a server. What is not run is printed at the end of that run.
 */
export const embeddedFiles: readonly string[] = [
  'test/schema/archive.test.ts',
  'test/schema/archive-tables.test.ts',
  'test/schema/bounds.test.ts',
  'test/schema/derived-columns.test.ts',
  'test/schema/derived-columns-of-children.test.ts',
  'test/schema/functions-patterns.test.ts',
  'test/schema/functions-similar.test.ts',
  'test/schema/functions-timeline.test.ts',
  'test/schema/views.test.ts',
  'test/deploy/*.test.ts',
  'test/demo/*.test.ts',
  'test/live/*.test.ts',
  'test/maintenance/**/*.test.ts',
  'test/panes/*.test.ts',
];

/** Tests that are left to the server, by file: their full names ("describe > test"), or all of a file or folder. */
export type NotOnEmbedded = {
  reason: string;
  files: Readonly<Record<string, readonly string[] | 'all'>>;
};

export const notOnEmbedded: readonly NotOnEmbedded[] = [
  {
    reason:
      'a deployment of the version before is brought forward on a server, where it is asked about; the engine is never asked',
    files: { 'test/deploy/migrate.test.ts': 'all' },
  },
  {
    reason: 'runs the printed commands with psql, against databases of other names',
    files: { 'test/maintenance/doctor/printed-command.test.ts': 'all' },
  },
  {
    reason:
      'another session holds a transaction open: the engine has one, and the others wait for its end',
    files: {
      'test/schema/archive.test.ts': [
        'beside others > a tree that somebody is writing to is passed over and reported',
        'beside others > a hook that is being added to a nested trace holds its tree back',
        'beside others > a second archiver is told that one is at work, and nothing moves twice',
      ],
      'test/schema/functions-patterns.test.ts': [
        'recording a use > a trace that goes to the archive at this moment is kept by its correlation_id',
        'pruning > a pattern that is being used at the moment stays',
      ],
      'test/panes/activity.test.ts': [
        'a row committed long after others that began later is put where its time belongs',
        'misses nothing and shows nothing twice, whatever the order of transactions, subtransactions and commits',
        'a table that another session has locked is left out and named; the others go on',
      ],
      'test/panes/activity-filter.test.ts': [
        'a filter keeps the events of a table that is locked, and says of when they are',
      ],
      'test/panes/index-usage.test.ts': [
        'an index that another session has locked keeps its last size and names the process',
      ],
      'test/panes/table-sizes.test.ts': [
        'a table that another session has locked keeps its last sizes; the other tables go on',
        'an index that another session has locked keeps its last sizes; the other tables go on',
      ],
      'test/live/engine.test.ts': ['a moment whose rows cannot be read shows no rows of another'],
      'test/maintenance/archive.test.ts': [
        'archiving > passes over a trace to whose hook somebody writes, and moves the rest',
        'archiving > waits for the short batch of another archiver',
        'archiving > says who is at it when another session archives',
      ],
      'test/maintenance/doctor/command.test.ts': [
        'trace-console doctor > goes on past a locked table, and says what it could not look at',
      ],
      'test/maintenance/close-stuck.test.ts': [
        'passes over a trace that its writer has locked, and says that it remains',
      ],
      'test/maintenance/doctor/sessions.test.ts': 'all',
      'test/maintenance/reindex/reindex.test.ts': [
        'rebuilding an index > names who is in the way with the statement, and cancelled it leaves nothing behind',
      ],
      'test/maintenance/reindex/replace.test.ts': [
        'rebuilding a vector index > is one console’s at a time: the second says who does it, and cleans nothing up under its hands',
      ],
      'test/maintenance/statistics/statistics.test.ts': [
        'vacuum and analyze > name who has the table locked, and stop when cancelled',
      ],
      'test/maintenance/materialize.test.ts': [
        'trace-console schema materialize > leaves nothing behind when it is cancelled while it waits for a lock, whose holder it names',
      ],
    },
  },
  {
    reason:
      'no lock of a session keeps a second console from the same index: each rebuilds it in turn',
    files: {
      'test/maintenance/reindex/replace.test.ts': [
        'rebuilding a vector index > and of many that begin at the same moment each one has done it or named who does',
      ],
    },
  },
  {
    reason:
      'minutes, a database of its own a test; what it asks of the engine is asked by tests that run',
    files: {
      'test/demo/command.test.ts': 'all',
      'test/demo/live.test.ts': 'all',
      'test/demo/places.test.ts': 'all',
      'test/demo/remove.test.ts': 'all',
      'test/deploy/reset.test.ts': 'all',
      'test/deploy/apply.test.ts': [
        'on an empty database > needs no question, also without a terminal',
        'beside objects of others > is refused where it would overwrite a function of others',
        'beside objects of others > is asked for also where only a type lives, and refuses a view of our name',
        'beside objects of others > shows the plan and changes nothing with --dry-run',
        'beside objects of others > asks before it creates a schema that --schema names',
        'under restrictions > with nothing to do is good, also with --read-only',
        'under restrictions > is refused with --read-only',
      ],
      'test/deploy/adopt.test.ts': 'all',
      'test/maintenance/archive-consoles.test.ts': 'all',
      'test/panes/older-shape.test.ts': 'all',
      'test/maintenance/doctor/indexes.test.ts': 'all',
      'test/maintenance/doctor/tables.test.ts': 'all',
    },
  },
  {
    reason: 'its time-out restarts the engine, which the next statement would wait for',
    files: {
      'test/maintenance/archive.test.ts': [
        'the count of what is due > is given up when it takes too long, and an estimate is called one',
      ],
    },
  },
  {
    reason: 'pg_terminate_backend ends no client of the engine; kill -9 of the daemon is tested',
    files: {
      'test/schema/archive.test.ts': [
        'beside others > a batch whose connection is killed leaves everything where it was',
      ],
    },
  },
  {
    reason: 'proves the check, not the engine; on it another plan is cheaper for so few rows',
    files: {
      'test/panes/plans.test.ts': [
        'without its indexes the same check finds the table read as a whole',
      ],
    },
  },
  {
    reason: 'pg_stat_activity has one row, and only the role postgres connects',
    files: {
      'test/panes/postgresql.test.ts': 'all',
      'test/maintenance/end-backend.test.ts': 'all',
    },
  },
  {
    reason: 'the daemon keeps its counters in the schema trace_console, which is there before',
    files: {
      'test/maintenance/materialize.test.ts': [
        'trace-console schema materialize > stays usable when a later file replaces the view below it',
        'trace-console schema materialize > comes back from a dump as a copy that is refreshed as before',
      ],
      'test/deploy/apply.test.ts': [
        'on an empty database > leaves nothing when the console is killed in the middle',
      ],
    },
  },
  {
    reason: 'on the embedded database the console writes without being asked twice',
    files: {
      'test/deploy/apply.test.ts': [
        'beside objects of others > asks first: without a terminal it shows where and what, and exits 4 with nothing changed',
      ],
    },
  },
  {
    reason:
      'needs a server of its own: a standby, a pooler, settings, an extension, or roles that log in',
    files: {
      'test/deploy/prerequisites.test.ts': 'all',
      'test/deploy/verify.test.ts': 'all',
      'test/live/promotion.test.ts': 'all',
      'test/live/engine.test.ts': [
        'a role that may not read a table is told so, and sees the others',
        'the server goes away and comes back: the state says so, rows stay, and the tail misses nothing',
      ],
      'test/maintenance/archive-brakes.test.ts': 'all',
      'test/maintenance/doctor/server.test.ts': 'all',
      'test/maintenance/journal/journal.test.ts': [
        'the journal > has who ran what from where, with input, last progress and result; also behind pgbouncer',
      ],
      'test/maintenance/registry': 'all',
      'test/maintenance/reindex/reindex.test.ts': [
        'every action is refused > on a standby',
        'every action is refused > where the role lacks what the action needs, with what would allow it',
        'every action is refused > behind a transaction pooler, when it needs a session of its own',
      ],
      'test/maintenance/retention/schedule.test.ts': 'all',
      'test/maintenance/statistics/statistics.test.ts': [
        'vacuum and analyze > behind a transaction pooler: ANALYZE works, VACUUM asks for the server itself',
      ],
    },
  },
  {
    reason: 'uses no database',
    files: {
      'test/deploy/statements.test.ts': 'all',
      'test/demo/random.test.ts': 'all',
      'test/live/budget.test.ts': 'all',
      'test/live/schedule.test.ts': 'all',
      'test/live/store.test.ts': 'all',
      'test/live/alerts': 'all',
      'test/live/recording': 'all',
      'test/maintenance/progress-rate.test.ts': 'all',
    },
  },
  {
    reason: 'the console applies its schema there unasked',
    files: {
      'test/deploy/console-schema.test.ts': [
        "the console's own schema > names a table that was dropped alone, on the screen and in verify, with the command that works",
      ],
    },
  },
  {
    reason: 'one session: connections, transactions and locks of others cannot be seen',
    files: {
      'test/deploy/console-schema.test.ts': [
        "the console's own schema > waits for another console that is making it, longer than it waits for a row",
      ],
      'test/live/engine.test.ts': [
        'every pane has its answer, and the vitals of the server are known',
        'the longest transaction of another session is named',
        'a locked table: its pane says by whom within its time-out and keeps its rows, the rest goes on',
      ],
    },
  },
  {
    reason: 'ends the engine, and the other panes wait: test/embedded/daemon/busy-engine.test.ts',
    files: {
      'test/live/engine.test.ts': [
        'a statement that takes too long is cancelled, and its pane says so',
      ],
    },
  },
  {
    reason: 'no network lies between: the way to the database is a socket of this machine',
    files: {
      'test/live/engine.test.ts': [
        'a connection that went silent is lost since the question that has no answer, not since that was noticed',
      ],
    },
  },
  {
    reason: 'starts its own engine in the run on a server',
    files: {
      'test/maintenance/embedded': 'all',
    },
  },
  {
    reason:
      'a run lives as long as its console is connected, whatever its lease: test/maintenance/embedded/presence.test.ts',
    files: {
      'test/maintenance/journal/journal.test.ts': [
        'a run whose console died > is shown as crashed, and taken up by the next one with the same input',
        'two runs under one name > the looker-on takes over when the worker dies, and cancelled it leaves the worker alone',
      ],
    },
  },
  {
    reason: 'a build of the engine is whole or undone, and nobody waits for another in its phases',
    files: {
      'test/maintenance/reindex/broken-rebuild.test.ts': 'all',
      'test/maintenance/reindex/killed-in-phase.test.ts': 'all',
    },
  },
  {
    reason: 'the preview says, too, that cancelling restarts the engine',
    files: {
      'test/maintenance/reindex/reindex.test.ts': [
        'rebuilding an index > is previewed with the very statement, and an unknown index is refused',
      ],
    },
  },
  {
    reason:
      'the rest: servers of their own with roles that log in, Docker, backups, and deploying by psql',
    files: {
      'test/schema': 'all',
    },
  },
];

/** Files of which nothing is run. */
export const wholeFilesNotOnEmbedded: readonly string[] = notOnEmbedded.flatMap(({ files }) =>
  Object.keys(files).filter((path) => files[path] === 'all'),
);

/** Why a test is not run on the embedded engine; undefined when it is. */
export function reasonNotOnEmbedded(file: string, test: string): string | undefined {
  return notOnEmbedded.find(({ files }) => {
    const tests = files[file];
    return tests === 'all' || tests?.includes(test) === true;
  })?.reason;
}
