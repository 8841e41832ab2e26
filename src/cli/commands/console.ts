import { setFlagsFromString } from 'node:v8';
import { didYouMean } from '../../core/nearest.js';
import { parseMoment } from '../../core/format/time.js';
import { type ExitCode, ConsoleError } from '../../db/errors.js';
import type { OpensAt } from '../../ui/app/options.js';
import { strings } from '../../ui/strings.js';
import { type ThemeName, themeNames } from '../../ui/theme.js';
import {
  commandsOfDatabase,
  consoleFlags,
  defineCommand,
  type FlagValues,
  parseWindow,
  progress,
  screenFlags,
  screenOptions,
} from '../command.js';
import { openWithTraffic } from '../demo-companion.js';
import type { Database } from '../../db/database.js';
import type { ConnectionChoice, DemoTraffic, Filling } from '../../ui/context.js';

/** How long connections may take to close. */
const goodbyeMs = 300;

/**
 * V8 compiles anew, optimized, what has run for long in all, however seldom. A refresh is some milliseconds of much code every two
 * seconds: for many minutes that compiling took a third of the console's processor time, and what it made was hardly faster.
 * Eight times as long: a sixth less in all (`npm run bench -- console`), and what is used much is optimized all the same.
 */
async function optimizeSeldom(): Promise<void> {
  await progress.isKept;
  setFlagsFromString(`--interrupt-budget=${8 * 66 * 1024}`);
}

export const command = defineCommand({
  name: 'console',
  summary: 'open the live console (the default)',
  description: [
    'Shows what the agents do, what is slow, what fails and how the database bears it. ? lists the',
    'keys. The exit code is 0 after q, 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.',
    '',
    '--pane, --trace, --window and --at say what it opens on, as a link does: for a runbook, or a message to a colleague.',
  ].join('\n'),
  flags: consoleFlags,
  ownsTerminal: true,
  asksAtOnce: 3,
  examples: [
    'trace-console',
    'trace-console --demo',
    'trace-console --url postgresql://user@host/database --read-only',
    'trace-console prod      (a connection of the config file)',
    "trace-console prod --pane errors --window 6h --at 'yesterday 14:05'",
  ],
  async run({ flags, settings, interactive, note, commands, connections }) {
    void optimizeSeldom();
    const screen = screenOptions(flags, interactive);
    const opensAt = await readOpensAt(flags);
    const windowMs = readWindow(flags);
    const theme = flags.theme === undefined ? settings.theme : themeNamed(flags.theme);
    let stopDemo: (() => void) | undefined;
    const { alerts, keys } = settings;
    const [named, ...others] = connections();
    const first = { ...named, windowMs: windowMs ?? named.windowMs };
    let pauseMs: number | undefined;
    let filling: Filling | undefined;
    let onFilling: (filling: Filling) => void = (first) => (filling = first);
    const traffic: DemoTraffic = {
      pauseMs: () => pauseMs,
      onFilling(listener) {
        onFilling = listener;
        // What was told before somebody listened: the database is opened while the history is being written.
        if (filling) listener(filling);
      },
    };
    const openDemo = async (onProgress: (line: string) => void) => {
      if (stopDemo) return first.open(onProgress);
      const opened = await openWithTraffic(
        () => first.open(onProgress),
        (filling) => onFilling(filling),
      );
      stopDemo = () => opened.stop();
      ({ pauseMs } = opened);
      return opened.database;
    };
    const opening = flags.demo ? { ...first, open: openDemo, traffic } : first;
    const opened = openedEarly(opening);
    const { openConsole } = await import('../../ui/open-console.js');
    const exitCode = await openConsole({
      connections: [opened, ...others],
      theme,
      ...screen,
      alerts,
      keys,
      shellCommands: commandsOfDatabase(commands),
      recordTo: flags.record,
      opensAt,
    }).finally(() => stopDemo?.());
    // A statement that is still running, or a server that does not answer, is not waited for.
    setTimeout(() => process.exit(exitCode), goodbyeMs).unref();
    if (flags.record !== undefined) note(`Recorded: ${flags.record}`);
    // Beside the documented codes it may be 128 plus a signal's number.
    return exitCode as ExitCode;
  },
});

type Flags = FlagValues<typeof consoleFlags>;

/** The database is opened while the screen is still being loaded; who asks for it first gets that opening. */
function openedEarly(choice: ConnectionChoice): ConnectionChoice {
  let line: string | undefined;
  let show = (text: string): void => void (line = text);
  let early: Promise<Database> | undefined = choice.open((text) => show(text));
  // Whoever asks for it hears of a failure.
  early.catch(() => undefined);
  return {
    ...choice,
    open: (onProgress, answersWithinMs) => {
      const taken = early;
      if (!taken) return choice.open(onProgress, answersWithinMs);
      early = undefined;
      show = onProgress;
      if (line !== undefined) onProgress(line);
      return taken;
    },
  };
}

// What a flag is checked with is loaded where the flag is given: the first frame comes before the panes.

function readWindow({ window }: Flags): number | undefined {
  if (window === undefined) return undefined;
  return parseWindow(window);
}

/** @throws ConsoleError `usage` before anything is opened */
async function readOpensAt({ pane, trace, at }: Flags): Promise<OpensAt> {
  const isWrong =
    trace !== undefined && !(await import('../../panes/reading/names.js')).isIdStart(trace);
  if (isWrong) {
    throw new ConsoleError('usage', `"${trace}" is no id of a trace.`, {
      hint: `${strings.idHasDigits}.`,
    });
  }
  const moment = at === undefined ? undefined : parseMoment(at, Date.now());
  if (moment && 'error' in moment) throw new ConsoleError('usage', `--at: ${moment.error}`, moment);
  if (pane === undefined) return { trace, at };
  const { paneById } = await import('../../panes/registry.js');
  return { pane: paneById(pane).id, trace, at };
}

function themeNamed(name: string): ThemeName {
  const theme = themeNames.find((each) => each === name);
  if (theme) return theme;
  const meant = didYouMean(name, themeNames);
  throw new ConsoleError('usage', `There is no theme "${name}".`, {
    hint: `${meant}Themes: ${themeNames.join(', ')}`,
  });
}

export const replayCommand = defineCommand({
  name: 'replay',
  summary: 'play a recording of the console, for the review of an incident',
  usage: 'FILE',
  description: [
    'Shows what the console showed while it ran with --record FILE. Space stops it and lets it go on,',
    '+ and - set its speed, [ and ] go ten seconds back and on, { and } five minutes. No database is asked.',
  ].join('\n'),
  flags: screenFlags,
  inputs: 1,
  ownsTerminal: true,
  examples: ['trace-console --record incident.jsonl', 'trace-console replay incident.jsonl'],
  async run({ flags, input, interactive, settings }) {
    const [file] = input;
    if (file === undefined) {
      throw new ConsoleError('usage', 'Which recording? Give its file.', {
        hint: 'trace-console --record FILE makes one.',
      });
    }
    const { Recording } = await import('../../live/recording/recording.js');
    const recording = Recording.open(file);
    const screen = screenOptions(flags, interactive);
    const { openReplay } = await import('../../ui/open-console.js');
    const { theme, keys } = settings;
    return (await openReplay(recording, { theme, ...screen }, { keys })) as ExitCode;
  },
});
