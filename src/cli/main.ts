import { ConsoleError, exitCodes, type ExitCode } from '../db/errors.js';
import { consoleVersion } from '../shared/version.js';
import type { CommandContext, FlagDeclarations } from './command.js';
import { noConfig, type Config } from './config/config.js';
import { readConfig } from './config/read-config.js';
import { processContext } from './context.js';
import { ensureSchema } from './ensure-schema.js';
import { commandHelp, overviewHelp } from './help.js';
import { configFlag, findCommand, parseCommand } from './parse.js';
import { commands, type CommandEntry } from './registry.js';
import { reportError } from './report-error.js';

/** Runs the program and gives its exit code; every error ends here. */
async function main(argv: readonly string[]): Promise<ExitCode> {
  try {
    const asked = askedInstead(argv);
    if (asked === 'version') return print(consoleVersion());
    const config = await readConfig(configFlag(argv)).catch((error: unknown) => {
      // A mistake in the config must not keep anybody from reading how to mend it.
      if (asked) return noConfig;
      throw error;
    });
    const invocation = findCommand(argv, config.connections);
    switch (invocation.kind) {
      case 'command':
        if (asked === 'help') return print(commandHelp(await invocation.entry.load()));
        return await runCommand(config, invocation.entry, invocation.argv);
      case 'group':
        print(overviewHelp(invocation.name));
        return asked ? exitCodes.good : exitCodes.usage;
      case 'unknown':
        throw new ConsoleError('usage', `There is no command "${invocation.name}".`, {
          hint: 'trace-console --help lists them; connections are named in the config file.',
        });
      case 'none':
        if (asked === 'help') return print(overviewHelp());
        return await runWithoutCommand(config, invocation.argv);
    }
  } catch (error) {
    return reportError(error, argv.includes('--json'));
  }
}

/**
 * What is asked for instead of a run, wherever it stands among the flags: `archive --yes --help` must
 * not archive. meow itself heeds these only where they stand alone.
 */
function askedInstead(argv: readonly string[]): 'help' | 'version' | undefined {
  const end = argv.indexOf('--');
  const flags = new Set(end === -1 ? argv : argv.slice(0, end));
  if (flags.has('--help') || flags.has('-h')) return 'help';
  return flags.has('--version') ? 'version' : undefined;
}

function print(text: string): ExitCode {
  process.stdout.write(`${text}\n`);
  return exitCodes.good;
}

/** The console on a terminal; one status where nobody could press a key. */
async function runWithoutCommand(config: Config, argv: readonly string[]): Promise<ExitCode> {
  const screen = process.stdin.isTTY && process.stdout.isTTY && !argv.includes('--json');
  return screen
    ? runCommand(config, entryOf('console'), argv)
    : runCommand(config, entryOf('status'), argv, ensureSchema);
}

function entryOf(name: string): CommandEntry {
  const entry = commands.find((candidate) => candidate.name === name);
  if (!entry) throw new ConsoleError('internal', `The command "${name}" is not registered.`);
  return entry;
}

/** @param before what happens first, with the command's own context */
async function runCommand(
  config: Config,
  entry: CommandEntry,
  argv: readonly string[],
  before?: (context: CommandContext<FlagDeclarations>) => Promise<void>,
): Promise<ExitCode> {
  const command = await entry.load();
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  // Installed when the command first looks at its signal: without a listener a signal ends the
  // process, which is right for one that never looks. The server rolls back what it was doing.
  const listen = () => {
    process.off('SIGINT', interrupt).once('SIGINT', interrupt);
    process.off('SIGTERM', interrupt).once('SIGTERM', interrupt);
    return interruption.signal;
  };
  const { context, close } = processContext(parseCommand(command, argv), listen, config);
  try {
    await before?.(context);
    return await command.run(context);
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    await close();
  }
}

// The traffic of --demo runs as a child of the console and ends with it, however that ends.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();

// A reader that closed the pipe (`| head`) has what it wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.good);
  throw error;
});

process.exitCode = await main(process.argv.slice(2));
