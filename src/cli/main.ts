import { ConsoleError, exitCodes, type ExitCode } from '../db/errors.js';
import { consoleVersion } from '../shared/version.js';
import { processContext } from './context.js';
import { overviewHelp } from './help.js';
import { findCommand, parseCommand, type Invocation } from './parse.js';
import { reportError } from './report-error.js';

/** Runs the program and gives its exit code; every error ends here. */
async function main(argv: readonly string[]): Promise<ExitCode> {
  const invocation = findCommand(argv);
  try {
    if (invocation.kind === 'command') return await runCommand(invocation);
    return runWithoutCommand(invocation, argv);
  } catch (error) {
    return reportError(error, argv.includes('--json'));
  }
}

async function runCommand({
  entry,
  argv,
}: Extract<Invocation, { kind: 'command' }>): Promise<ExitCode> {
  const command = await entry.load();
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const { context, close } = processContext(parseCommand(command, argv), interruption.signal);
  try {
    return await command.run(context);
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    await close();
  }
}

function runWithoutCommand(
  invocation: Exclude<Invocation, { kind: 'command' }>,
  argv: readonly string[],
): ExitCode {
  if (invocation.kind === 'group') {
    process.stdout.write(`${overviewHelp(invocation.name)}\n`);
    return argv.includes('--help') ? exitCodes.good : exitCodes.usage;
  }
  if (invocation.kind === 'unknown') {
    throw new ConsoleError('usage', `There is no command "${invocation.name}".`, {
      hint: 'trace-console --help lists them.',
    });
  }
  if (argv.includes('--version')) process.stdout.write(`${consoleVersion()}\n`);
  else process.stdout.write(`${overviewHelp()}\n`);
  return exitCodes.good;
}

// A reader that closed the pipe (`| head`) has what it wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.good);
  throw error;
});

process.exitCode = await main(process.argv.slice(2));
