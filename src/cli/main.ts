import { consoleVersion } from '../core/version.js';
import { ConsoleError, type ExitCode, exitCodes, failureOf, fileError } from '../db/errors.js';
import { canPaint } from '../terminal/support.js';
import {
  askedInstead,
  asksForJson,
  configFlag,
  findCommand,
  parseCommand,
} from './command-line.js';
import {
  type CommandContext,
  type CommandEntry,
  type FlagDeclarations,
  isLinear,
  commandHelp,
  overviewHelp,
  progress,
} from './command.js';
import { redactSecrets, withoutPasswords } from '../core/log-file.js';
import { readConfig } from './config/read-config.js';
import { type Config, noConfig } from './config/settings.js';
import { processContext } from './context.js';
import { commands } from './registry.js';
import { plainText, safeJson, safeText } from './safe-text.js';

/**
 * Prints an error with its hint to stderr, as JSON to stdout when the command prints JSON, and
 * gives the exit code.
 */
function reportError(error: unknown, json: boolean): ExitCode {
  const known = error instanceof ConsoleError ? error : fileError(error);
  // What is unexpected may quote anything.
  const written = known ? withoutPasswords : redactSecrets;
  const message = written(failureOf(known ?? error).message);
  const hint = known?.hint === undefined ? undefined : written(known.hint);
  if (json) {
    const body = { code: known?.code ?? 'internal', message, hint };
    process.stdout.write(`${safeJson({ ok: false, error: body })}\n`);
  } else {
    const write = (text: string) =>
      process.stderr.write(`${plainText(safeText(text), process.stderr)}\n`);
    write(`error: ${message}`);
    if (hint) write(`hint: ${hint}`);
    // An unexpected error is printed with its stack, so that it can be reported.
    if (!known && error instanceof Error && error.stack) write(written(error.stack));
  }
  return known?.exitCode ?? exitCodes.notGood;
}

/** Runs the program and gives its exit code; every error ends here. */
async function main(argv: readonly string[]): Promise<ExitCode> {
  try {
    const asked = askedInstead(argv);
    if (asked === 'version') return print(consoleVersion());
    const config = await readConfig(configFlag(argv)).catch((error: unknown) => {
      // A mistake in the config must not keep anybody from reading how to fix it.
      if (asked) return noConfig;
      throw error;
    });
    const invocation = findCommand(argv, config.connections);
    switch (invocation.kind) {
      case 'command':
        if (asked === 'help') return print(await commandHelp(await invocation.entry.load()));
        return await runCommand(config, invocation.entry, invocation.argv);
      case 'help':
        return await main([...invocation.argv, '--help']);
      case 'group':
        print(overviewHelp(commands, invocation.name));
        return asked ? exitCodes.good : exitCodes.usage;
      case 'unknown':
        throw unknownCommand(invocation);
      case 'none':
        if (asked === 'help') return print(overviewHelp(commands));
        return await runWithoutCommand(config, invocation.argv);
    }
  } catch (error) {
    return reportError(error, asksForJson(argv));
  }
}

function unknownCommand({ name, nearest }: { name: string; nearest: string | undefined }) {
  const list = 'trace-console --help lists them; connections are named in the config file.';
  return new ConsoleError('usage', `There is no command "${name}".`, {
    hint: nearest === undefined ? list : `Did you mean "${nearest}"? ${list}`,
  });
}

function print(text: string): ExitCode {
  process.stdout.write(`${plainText(text)}\n`);
  return exitCodes.good;
}

/** The console on a terminal; one status where nobody could press a key or nothing can be painted. */
async function runWithoutCommand(config: Config, argv: readonly string[]): Promise<ExitCode> {
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY && !asksForJson(argv);
  const asked = { screenReader: argv.includes('--screen-reader') };
  const screen = isTerminal && (canPaint(process.env) || isLinear(asked, process.env));
  return screen
    ? runCommand(config, entryOf('console'), argv)
    : runCommand(config, entryOf('status'), argv, async (context) =>
        (await import('./ensure-schema.js')).ensureSchema(context),
      );
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
  progress.command = entry.name;
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  // Installed when the command first looks at its signal: without a listener a signal ends the
  // process, which is right for one that never looks. The server rolls back what it was doing.
  const listen = () => {
    process.off('SIGINT', interrupt).once('SIGINT', interrupt);
    process.off('SIGTERM', interrupt).once('SIGTERM', interrupt);
    cancelCommand = interrupt;
    return interruption.signal;
  };
  const { context, close } = processContext(command, parseCommand(command, argv), listen, config);
  try {
    await before?.(context);
    return await command.run(context);
  } catch (error) {
    throw error instanceof ConsoleError ? error.withHint(context.hint) : error;
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    cancelCommand = undefined;
    await close();
  }
}

export { progress };

// The traffic of --demo runs as a child of the console and ends with it, however that ends.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();

/** Cancels the command that runs, where it can be; else undefined. */
let cancelCommand: (() => void) | undefined;

/** Whether output was lost: 'read' when its reader has closed the pipe. */
let lostOutput: 'read' | 'failed' | undefined;

/**
 * A reader that closed the pipe (`| head`) has what it wanted; on a full disk something is missing.
 * A command that changes something is cancelled as by Ctrl-C, so that it tidies up; others end here.
 */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // When the terminal is gone the console ends by itself.
  if (process.stdout.isTTY || lostOutput !== undefined) return;
  lostOutput = error.code === 'EPIPE' ? 'read' : 'failed';
  if (lostOutput === 'failed') {
    process.stderr.write(`error: The output cannot be written: ${error.message}\n`);
  }
  if (cancelCommand) cancelCommand();
  else process.exit(lostOutput === 'read' ? exitCodes.good : exitCodes.notGood);
});
// There is nobody left to tell.
process.stderr.on('error', () => undefined);

// Node's own report would quote what an error quotes, passwords, too. The console's session has a report of its own.
process.on('uncaughtException', (error) => {
  if (process.listenerCount('uncaughtException') > 1) return;
  process.exit(reportError(error, asksForJson(argv)));
});

const argv = process.argv.slice(2);

// Node ends with 0 when nothing is left that could go on, also in the middle of a command.
const endedTooSoon = () => {
  const error = new ConsoleError('internal', 'The command stopped before its end.', {
    hint: 'What it was doing may be done in part. If it happens again, report it with the command.',
  });
  const exitCode = reportError(error, asksForJson(argv));
  // A session of the terminal that has ended knows better.
  if (process.exitCode === undefined || process.exitCode === 0) process.exitCode = exitCode;
};
process.once('beforeExit', endedTooSoon);

void main(argv).then((exitCode) => {
  process.off('beforeExit', endedTooSoon);
  process.exitCode = lostOutput === 'failed' ? exitCodes.notGood : exitCode;
});
