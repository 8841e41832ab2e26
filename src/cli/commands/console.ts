import { ConsoleError, type ExitCode } from '../../db/errors.js';
import { consoleFlags, defineCommand } from '../command.js';
import { startDemoCompanion } from '../demo-companion.js';

/** How long connections may take to close. */
const goodbyeMs = 300;

export const console = defineCommand({
  name: 'console',
  summary: 'open the live console (the default)',
  description: [
    'Shows what the agents do, what is slow, what fails and how the database bears it. ? lists the',
    'keys. The exit code is 0 after q, 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.',
  ].join('\n'),
  flags: consoleFlags,
  ownsTerminal: true,
  examples: [
    'trace-console',
    'trace-console --demo',
    'trace-console --url postgresql://user@host/database --read-only',
    'trace-console prod      (a connection of the config file)',
  ],
  async run({ flags, settings, interactive, note, openDatabase }) {
    if (!interactive) {
      throw new ConsoleError('usage', 'The console needs a terminal.', {
        hint: 'For scripts: trace-console status --json',
      });
    }
    const { openConsole } = await import('../../ui/open-console.js');
    let stopDemo: (() => void) | undefined;
    const { connection, intervalMs, windowMs, theme, alerts, keys } = settings;
    const exitCode = await openConsole({
      connection,
      cadenceMs: intervalMs,
      windowMs,
      theme,
      alerts,
      keys,
      recordTo: flags.record,
      async openDatabase(onProgress) {
        const database = await openDatabase(onProgress);
        if (flags.demo) stopDemo = await startDemoCompanion(database);
        return database;
      },
    }).finally(() => stopDemo?.());
    // A statement that is still running, or a server that does not answer, is not waited for.
    setTimeout(() => process.exit(exitCode), goodbyeMs).unref();
    if (flags.record !== undefined) note(`Recorded: ${flags.record}`);
    // Beside the documented codes it may be 128 plus a signal's number.
    return exitCode as ExitCode;
  },
});
