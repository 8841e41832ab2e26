import type { Command, FlagDeclarations } from './command.js';

/** A command before its code is loaded: only the one that runs costs its start. */
export type CommandEntry = {
  name: string;
  summary: string;
  load: () => Promise<Command>;
};

/** A command whose flags are known only to itself. */
function erased<Flags extends FlagDeclarations>(command: Command<Flags>): Command {
  return command as unknown as Command;
}

export const commands: readonly CommandEntry[] = [
  {
    name: 'console',
    summary: 'open the live console (the default)',
    load: async () => erased((await import('./commands/console.js')).console),
  },
  {
    name: 'status',
    summary: 'print the panes of the console once, as tables or JSON',
    load: async () => erased((await import('./commands/status.js')).status),
  },
  {
    name: 'doctor',
    summary: 'look for what is wrong with the database, and say how to mend it',
    load: async () => erased((await import('./commands/doctor.js')).doctor),
  },
  {
    name: 'replay',
    summary: 'play a recording of the console, for the review of an incident',
    load: async () => erased((await import('./commands/replay.js')).replay),
  },
  {
    name: 'trace',
    summary: 'print a trace with its whole tree, as a table, JSON or OTLP',
    load: async () => erased((await import('./commands/trace.js')).trace),
  },
  {
    name: 'archive',
    summary: 'move old traces, with all that belongs to them, to the archive',
    load: async () => erased((await import('./commands/archive.js')).archive),
  },
  {
    name: 'archive list',
    summary: 'list archived trees of traces, or search them',
    load: async () => erased((await import('./commands/archive-list.js')).archiveList),
  },
  {
    name: 'archive restore',
    summary: 'bring archived trees back, whole and unchanged',
    load: async () => erased((await import('./commands/archive-restore.js')).archiveRestore),
  },
  {
    name: 'archive purge',
    summary: 'delete archived trees for good; exported first where you say so',
    load: async () => erased((await import('./commands/archive-purge.js')).archivePurge),
  },
  {
    name: 'archive import',
    summary: 'bring an export of archived trees back into the archive',
    load: async () => erased((await import('./commands/archive-import.js')).archiveImport),
  },
  {
    name: 'reindex',
    summary: 'rebuild indexes while readers and writers go on',
    load: async () => erased((await import('./commands/reindex.js')).reindex),
  },
  {
    name: 'prune',
    summary: 'delete old usage logs, and patterns that proved of little value',
    load: async () => erased((await import('./commands/prune.js')).prune),
  },
  {
    name: 'analyze',
    summary: 'let the planner know what the tables hold now',
    load: async () => erased((await import('./commands/analyze.js')).analyze),
  },
  {
    name: 'vacuum',
    summary: 'make the room of dead rows usable again',
    load: async () => erased((await import('./commands/vacuum.js')).vacuum),
  },
  {
    name: 'maintain',
    summary: 'carry out the stored retention policy once, for cron',
    load: async () => erased((await import('./commands/maintain.js')).maintain),
  },
  {
    name: 'maintain policy',
    summary: 'show, set or clear how long what is kept',
    load: async () => erased((await import('./commands/maintain-policy.js')).maintainPolicy),
  },
  {
    name: 'maintain schedule',
    summary: 'let pg_cron carry the retention policy out',
    load: async () => erased((await import('./commands/maintain-schedule.js')).maintainSchedule),
  },
  {
    name: 'runs',
    summary: 'list the maintenance runs of every console, or show one in full',
    load: async () => erased((await import('./commands/runs.js')).runs),
  },
  {
    name: 'runs resume',
    summary: 'do a maintenance run again whose console died',
    load: async () => erased((await import('./commands/runs-resume.js')).runsResume),
  },
  {
    name: 'schema apply',
    summary: 'create what is missing of the schema, or show what would be created',
    load: async () => erased((await import('./commands/schema-apply.js')).schemaApply),
  },
  {
    name: 'schema verify',
    summary: 'compare the deployed objects with the expected ones',
    load: async () => erased((await import('./commands/schema-verify.js')).schemaVerify),
  },
  {
    name: 'schema bundle',
    summary: 'print all schema files as one migration',
    load: async () => erased((await import('./commands/schema-bundle.js')).schemaBundle),
  },
  {
    name: 'schema reset',
    summary: 'drop the tables, views and functions of the schema',
    load: async () => erased((await import('./commands/schema-reset.js')).schemaReset),
  },
  {
    name: 'keys',
    summary: "list the console's actions with their keys, for the config file",
    load: async () => erased((await import('./commands/keys.js')).keys),
  },
  {
    name: 'demo',
    summary: 'make lifelike traffic, or take it away again',
    load: async () => erased((await import('./commands/demo.js')).demo),
  },
  {
    name: 'embedded status',
    summary: 'say whether the embedded database runs, and how psql connects',
    load: async () => erased((await import('./commands/embedded-status.js')).embeddedStatusCommand),
  },
  {
    name: 'embedded stop',
    summary: 'stop the embedded database; its data stays',
    load: async () => erased((await import('./commands/embedded-stop.js')).embeddedStop),
  },
  {
    name: 'embedded export',
    summary: 'write the embedded database to a file of SQL',
    load: async () => erased((await import('./commands/embedded-export.js')).embeddedExport),
  },
  {
    name: 'embedded import-to',
    summary: 'copy the embedded database to a server',
    load: async () => erased((await import('./commands/embedded-import-to.js')).embeddedImportTo),
  },
];

/** Whether a word begins a command, so that nothing else may be called by it. */
export function isCommandWord(word: string): boolean {
  return word === 'help' || commands.some(({ name }) => name.split(' ')[0] === word);
}
