import { commandsOfDatabase, type Command, type CommandEntry } from './command.js';

/**
 * Adding a command is adding a file to commands/ (or to the file of its family there) and a line here:
 * the words that are typed, the line of `--help`, and where it is loaded from. A test compares name and
 * summary with those of the file.
 */
function entry(name: string, summary: string, load: () => Promise<unknown>): CommandEntry {
  // The flags of a command are known only to itself.
  return { name, summary, load: load as () => Promise<Command> };
}

// prettier-ignore
export const commands: readonly CommandEntry[] = [
  entry('console', 'open the live console (the default)', async () => (await import('./commands/console.js')).command),
  entry('status', 'print the panes of the console once, as tables or JSON', async () => (await import('./commands/status.js')).command),
  entry('fleet', 'ask every connection of the config file, and print a line each', async () => (await import('./commands/fleet.js')).command),
  entry('doctor', 'look for what is wrong with the database, and say how to fix it', async () => (await import('./commands/doctor.js')).command),
  entry('replay', 'play a recording of the console, for the review of an incident', async () => (await import('./commands/console.js')).replayCommand),
  entry('trace', 'print a trace with its whole tree, as a table, JSON or OTLP', async () => (await import('./commands/traces.js')).traceCommand),
  entry('traces', 'list traces by status, agent, project, session, hook, tool or any filter', async () => (await import('./commands/traces.js')).tracesCommand),
  entry('prompts', 'list which prompts fail: groups of similar ones, or by session, agent or project', async () => (await import('./commands/traces.js')).promptsCommand),
  entry('compare', 'print what got worse and better at a moment, for example a deployment', async () => (await import('./commands/compare.js')).command),
  entry('archive', 'move old traces, with all that belongs to them, to the archive', async () => (await import('./commands/archive.js')).command),
  entry('archive list', 'list archived trees of traces, or search them', async () => (await import('./commands/archive.js')).archiveListCommand),
  entry('archive restore', 'bring archived trees back, whole and unchanged', async () => (await import('./commands/archive.js')).archiveRestoreCommand),
  entry('archive purge', 'delete archived trees for good; exported first where you say so', async () => (await import('./commands/archive.js')).archivePurgeCommand),
  entry('archive import', 'bring an export of archived trees back into the archive', async () => (await import('./commands/archive.js')).archiveImportCommand),
  entry('reindex', 'rebuild indexes while readers and writers go on', async () => (await import('./commands/upkeep.js')).reindexCommand),
  entry('close-stuck', 'close traces whose writer died: in progress for too long', async () => (await import('./commands/upkeep.js')).closeStuckCommand),
  entry('backend cancel', 'cancel the query that a PostgreSQL backend runs', async () => (await import('./commands/upkeep.js')).cancelQueryCommand),
  entry('backend terminate', 'close the connection of a PostgreSQL backend, whose transaction is rolled back', async () => (await import('./commands/upkeep.js')).terminateBackendCommand),
  entry('prune', 'delete old usage logs, and patterns that proved of little value', async () => (await import('./commands/upkeep.js')).pruneCommand),
  entry('analyze', 'update planner statistics (ANALYZE)', async () => (await import('./commands/upkeep.js')).analyzeCommand),
  entry('vacuum', 'reclaim dead rows (VACUUM)', async () => (await import('./commands/upkeep.js')).vacuumCommand),
  entry('maintain', 'carry out the stored retention policy once, for cron', async () => (await import('./commands/maintain.js')).command),
  entry('maintain policy', 'show, set or clear the retention policy', async () => (await import('./commands/maintain.js')).maintainPolicyCommand),
  entry('maintain schedule', 'let pg_cron carry the retention policy out', async () => (await import('./commands/maintain.js')).maintainScheduleCommand),
  entry('runs', 'list the maintenance runs of every console, or show one in full', async () => (await import('./commands/maintain.js')).runsCommand),
  entry('runs resume', 'do a maintenance run again whose console died', async () => (await import('./commands/maintain.js')).runsResumeCommand),
  entry('schema apply', 'create what is missing of the schema, or show what would be created', async () => (await import('./commands/schema.js')).schemaApplyCommand),
  entry('schema verify', 'compare the deployed objects with the expected ones', async () => (await import('./commands/schema.js')).schemaVerifyCommand),
  entry('schema bundle', 'print all schema files as one migration', async () => (await import('./commands/schema.js')).schemaBundleCommand),
  entry('schema materialize', 'keep the answer of a heavy view as a materialized view, and refresh it', async () => (await import('./commands/schema.js')).schemaMaterializeCommand),
  entry('schema reset', 'drop the tables, views and functions of the schema', async () => (await import('./commands/schema.js')).schemaResetCommand),
  entry('keys', "list the console's actions with their keys, for the config file", async () => (await import('./commands/keys.js')).command),
  entry('import', "bring in the sessions of agents' programs from their transcripts", async () => (await import('./commands/import.js')).command),
  entry('reprice', 'find the cost of stored model calls again, by the prices that are known now', async () => (await import('./commands/import.js')).repriceCommand),
  entry('import otlp', 'bring in traces and logs of OpenTelemetry from files', async () => (await import('./commands/otlp.js')).importOtlpCommand),
  entry('export otlp', 'print traces as OpenTelemetry requests, one a line', async () => (await import('./commands/otlp.js')).exportOtlpCommand),
  entry('metrics', 'print what the panes know as OpenMetrics, or send it by OTLP', async () => (await import('./commands/otlp.js')).metricsCommand),
  entry('completion', 'print a script that completes commands and flags in bash, zsh or fish', async () => (await import('./commands/shell.js')).completionCommand),
  entry('man', 'print the manual page of every command, for man(1)', async () => (await import('./commands/shell.js')).manCommand),
  entry('demo', 'generate lifelike traffic, or remove it again', async () => (await import('./commands/demo.js')).command),
  entry('collect', 'bring what the hooks of agents have told into the database, and go on doing so', async () => (await import('./commands/collect.js')).command),
  entry('collect status', 'say whether the collector runs, what waits in the spool, and when events came last', async () => (await import('./commands/collect.js')).collectStatusCommand),
  entry('hooks install', 'have agents report what they do, by hooks in their settings', async () => (await import('./commands/hooks.js')).hooksInstallCommand),
  entry('hooks remove', "take trace-console's hooks out of agents' settings again", async () => (await import('./commands/hooks.js')).hooksRemoveCommand),
  entry('hooks status', 'say which agents report, when each did last, and what keeps them from it', async () => (await import('./commands/hooks.js')).hooksStatusCommand),
  entry('hook', "take one event from an agent's CLI; what its settings start", async () => (await import('./commands/hooks.js')).command),
  entry('embedded status', 'say whether the embedded database runs, and how psql and others connect', async () => (await import('./commands/embedded.js')).embeddedStatusCommand),
  entry('embedded stop', 'stop the embedded database; its data stays', async () => (await import('./commands/embedded.js')).embeddedStopCommand),
  entry('embedded export', 'write the embedded database to a file of SQL', async () => (await import('./commands/embedded.js')).embeddedExportCommand),
  entry('embedded import-to', 'copy the embedded database to a server', async () => (await import('./commands/embedded.js')).embeddedImportToCommand),
  entry('learn', 'learn success patterns, agent chains and errors from the traces', async () => (await import('./commands/learn.js')).command),
  entry('learn calibrate', 'measure from which similarity on two prompts ask for the same', async () => (await import('./commands/learn.js')).learnCalibrateCommand),
  entry('learn merge', 'bring patterns that ask for the same into one, after a preview', async () => (await import('./commands/learn.js')).learnMergeCommand),
  entry('suggest', 'say what worked before for such a prompt', async () => (await import('./commands/suggest.js')).command),
  entry('feedback', 'say whether a turn went well; learning takes your word for it', async () => (await import('./commands/suggest.js')).feedbackCommand),
  entry('mcp', 'let an agent ask its own history: a read-only MCP server on stdin and stdout', async () => (await import('./commands/mcp.js')).command),
  entry('mcp install', 'have an agent start the MCP server, by its settings', async () => (await import('./commands/mcp.js')).mcpInstallCommand),
  entry('mcp remove', "take the MCP server out of agents' settings again", async () => (await import('./commands/mcp.js')).mcpRemoveCommand),
  entry('mcp status', 'say which agents start the MCP server, and what keeps it from starting', async () => (await import('./commands/mcp.js')).mcpStatusCommand),
];

export const databaseCommands = commandsOfDatabase(commands);

/** Whether a word begins a command, so that nothing else may be called by it. */
export function isCommandWord(word: string): boolean {
  return word === 'help' || commands.some(({ name }) => name.split(' ')[0] === word);
}
