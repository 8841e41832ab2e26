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
  async run({ flags, settings, interactive, note, connections }) {
    if (!interactive) {
      throw new ConsoleError('usage', 'The console needs a terminal.', {
        hint: 'For scripts: trace-console status --json',
      });
    }
    const { openConsole } = await import('../../ui/open-console.js');
    let stopDemo: (() => void) | undefined;
    const { theme, alerts, keys } = settings;
    const [first, ...others] = connections();
    let historyWritten: () => void = () => undefined;
    const pastWritten = new Promise<void>((resolve) => (historyWritten = resolve));
    const openWithTraffic: typeof first.open = async (onProgress) => {
      const database = await first.open(onProgress);
      stopDemo ??= await startDemoCompanion(database, historyWritten);
      return database;
    };
    const exitCode = await openConsole({
      connections: [
        flags.demo ? { ...first, open: openWithTraffic, pastWritten } : first,
        ...others,
      ],
      theme,
      alerts,
      keys,
      recordTo: flags.record,
    }).finally(() => stopDemo?.());
    // A statement that is still running, or a server that does not answer, is not waited for.
    setTimeout(() => process.exit(exitCode), goodbyeMs).unref();
    if (flags.record !== undefined) note(`Recorded: ${flags.record}`);
    // Beside the documented codes it may be 128 plus a signal's number.
    return exitCode as ExitCode;
  },
});
