import {
  type Command,
  type CommandEntry,
  dashed,
  type FlagDeclarations,
  globalFlags,
} from './command.js';

export const exitCodesText =
  'Exit codes: 0 ok, 1 problems found or no such thing in the database, 2 wrong usage, 3 cannot connect, 4 refused.';

export const sourcesText = [
  'The database is the first of: --url, DATABASE_URL, TRACEABILITY_DB_URL_EXTERNAL,',
  'TRACEABILITY_DB_URL, PG* (libpq), POSTGRES_*, the embedded database.',
].join('\n');

/** The text of `trace-console COMMAND --help`. */
export function commandHelp(command: Command): string {
  const usage = ['trace-console', command.name, command.usage].filter(Boolean).join(' ');
  const own =
    Object.keys(command.flags).length > 0 ? ['', 'Flags:', ...flagLines(command.flags)] : [];
  const examples = command.examples?.length
    ? ['', 'Examples:', ...command.examples.map((line) => `  ${line}`)]
    : [];
  return [
    `Usage: ${usage}`,
    '',
    command.description ?? sentence(command.summary),
    ...own,
    '',
    'Flags of every command:',
    ...flagLines(globalFlags),
    ...examples,
    '',
    exitCodesText,
  ].join('\n');
}

/** The text of `trace-console --help`, or of one group of commands. */
export function overviewHelp(commands: readonly CommandEntry[], group?: string): string {
  const listed = commands.filter(({ name }) => group === undefined || name.startsWith(`${group} `));
  const width = Math.max(...listed.map(({ name }) => name.length));
  return [
    `Usage: trace-console ${group ?? '[COMMAND]'} [FLAGS]`,
    '',
    ...(group === undefined
      ? [
          'Without a command it opens the live console; without a terminal it prints one status.',
          '',
        ]
      : []),
    'Commands:',
    ...listed.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'Flags of every command:',
    ...flagLines(globalFlags),
    ...flagLines({
      help: { type: 'boolean', description: 'show help, also of one command' },
      version: { type: 'boolean', description: 'show the version (-v)' },
    }),
    '',
    sourcesText,
    '',
    exitCodesText,
  ].join('\n');
}

function flagLines(flags: FlagDeclarations): string[] {
  const named = Object.entries(flags).map(([name, flag]) => ({
    left: [dashed(name), flag.value].filter(Boolean).join(' '),
    right: flag.description,
  }));
  const width = Math.max(...named.map(({ left }) => left.length));
  return named.map(({ left, right }) => `  ${left.padEnd(width)}  ${right}`);
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
