import { exitCodes } from '../../db/errors.js';
import {
  defineCommand,
  dashed,
  globalFlags,
  type Command,
  type CommandEntry,
  type FlagDeclarations,
} from '../command.js';
import { consoleVersion } from '../../core/version.js';
import { toAscii } from '../../ui/theme.js';
import { exitCodesText, sourcesText } from '../help.js';

export const command = defineCommand({
  name: 'man',
  summary: 'print the manual page of every command, for man(1)',
  printsFile: () => true,
  flags: {},
  examples: ['trace-console man | man -l -'],
  async run({ print, commands }) {
    print(await manPage(commands));
    return exitCodes.good;
  },
});

/** The manual page in the language of man(7), made from the registry of commands. */
export async function manPage(commands: readonly CommandEntry[]): Promise<string> {
  const all = await Promise.all(commands.map(({ load }) => load()));
  const lines = [
    `.TH TRACE\\-CONSOLE 1 "" "trace\\-console ${consoleVersion()}" "User Commands"`,
    '.SH NAME',
    'trace\\-console \\- operations console for the traces of AI agents in PostgreSQL',
    '.SH SYNOPSIS',
    '.B trace\\-console',
    '[\\fICOMMAND\\fR] [\\fIFLAGS\\fR]',
    '.SH DESCRIPTION',
    text('Without a command it opens the live console; without a terminal it prints one status.'),
    '.PP',
    text(sourcesText),
    '.SH COMMANDS',
    ...all.flatMap(commandLines),
    '.SH FLAGS OF EVERY COMMAND',
    ...flagLines(globalFlags),
    '.SH EXIT STATUS',
    text(exitCodesText),
  ];
  // Not every device of man(1) has the others.
  return toAscii(lines.join('\n'));
}

function commandLines(command: Command): string[] {
  const { name, usage, summary, description, flags, examples = [] } = command;
  return [
    `.SS trace\\-console ${[name, usage]
      .filter(Boolean)
      .map((part) => inline(part ?? ''))
      .join(' ')}`,
    text(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`),
    ...(description === undefined ? [] : ['.PP', '.nf', text(description), '.fi']),
    ...flagLines(flags),
    ...(examples.length === 0
      ? []
      : ['.PP', 'Examples:', '.RS', '.nf', text(examples.join('\n')), '.fi', '.RE']),
  ];
}

function flagLines(flags: FlagDeclarations): string[] {
  return Object.entries(flags).flatMap(([name, { value, description }]) => [
    '.TP',
    `\\fB${inline(dashed(name))}\\fR${value === undefined ? '' : ` \\fI${inline(value)}\\fR`}`,
    text(description),
  ]);
}

/** Lines of text; none may be taken for a request. */
function text(lines: string): string {
  return lines
    .split('\n')
    .map((line) => inline(line).replace(/^([.'])/, '\\&$1'))
    .join('\n');
}

function inline(line: string): string {
  return line.replaceAll('\\', '\\e').replaceAll('-', '\\-');
}
