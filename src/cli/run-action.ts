import { formatRate, isSize, withSeparators } from '../core/format/number.js';
import { ConsoleError, exitCodes, type ExitCode } from '../db/errors.js';
import type { Fact, Outcome, Preview, Progress } from '../maintenance/action.js';
import {
  previewAction,
  runAction,
  type ActionName,
  type InputOf,
  type ResultOf,
} from '../maintenance/registry.js';
import { ProgressRate } from '../maintenance/long-statement.js';
import type { CommandContext, FlagDeclarations } from './command.js';
import { safeJson, safeText } from './safe-text.js';

/** The flags of every command that changes something. */
export const actionFlags = {
  yes: { type: 'boolean', description: 'do not ask' },
  dryRun: { type: 'boolean', description: 'show what would be done, and change nothing' },
} as const satisfies FlagDeclarations;

type Context = CommandContext<typeof actionFlags>;

type Options<Result> = {
  /** What --json prints of the result. */
  toJson?: (result: Result) => object;
  /** An interrupted command leaves the server to it, instead of cancelling. */
  leaveOnSignal?: boolean;
};

/**
 * Runs a maintenance action as a command: preview, confirmation (`--yes`, or a question on a
 * terminal), progress lines, result.
 */
export async function runActionCommand<Name extends ActionName>(
  name: Name,
  context: Context,
  input: InputOf<Name>,
  { toJson = (result) => result, leaveOnSignal = false }: Options<ResultOf<Name>> = {},
): Promise<ExitCode> {
  const { flags, print, note, signal, hint } = context;
  const database = await context.openDatabase();
  const action = leaveOnSignal
    ? { database, signal: new AbortController().signal, detach: signal }
    : { database, signal };
  const preview = await previewAction(name, action, input);
  if (!flags.json) for (const line of previewLines(preview, hint)) print(safeText(line));
  if (flags.dryRun || preview.nothing !== undefined) {
    if (flags.json) print(safeJson({ dryRun: flags.dryRun, ...preview }, 2));
    return exitCodes.good;
  }
  if (!(await confirmed(context, preview))) {
    note('Cancelled; nothing was changed.');
    return exitCodes.refused;
  }
  const { summary, cancelled, result } = await drain(
    runAction(name, action, input),
    context.progress,
  );
  print(flags.json ? safeJson(toJson(result), 2) : safeText(summary));
  return cancelled ? exitCodes.notGood : exitCodes.good;
}

async function confirmed(context: Context, preview: Preview): Promise<boolean> {
  if (context.flags.yes) return true;
  if (!context.interactive || context.flags.json) {
    throw new ConsoleError('confirmation_needed', `${preview.title}: nothing was changed.`, {
      hint: 'Add --yes to do it, or --dry-run to see what would be done.',
    });
  }
  const word = preview.typed ?? 'yes';
  return (await context.ask(safeText(`Type "${word}" to go on: `))).trim() === word;
}

/** Runs to the end; each new line of progress is told. */
export async function drain<Result>(
  events: AsyncGenerator<Progress, Outcome<Result>>,
  tell: (line: string, share?: number) => void,
): Promise<Outcome<Result>> {
  const rate = new ProgressRate();
  let last = '';
  for (;;) {
    const event = await events.next();
    if (event.done) return event.value;
    const progress = rate.complete(event.value, performance.now());
    const line = progressLine(progress);
    if (line !== last) tell(safeText(line), shareOf(progress));
    last = line;
  }
}

/** Facts below each other, with their values aligned. */
export function factLines(facts: readonly Fact[]): string[] {
  const width = Math.max(0, ...facts.map(({ label }) => label.length));
  return facts.map(({ label, value }) => `  ${label.padEnd(width)}  ${value}`.trimEnd());
}

export function previewLines(
  preview: Preview,
  hint: (text: string) => string = (text) => text,
): string[] {
  return [
    preview.title,
    ...factLines(preview.facts),
    ...(preview.list ?? []).map((line) => `  - ${line}`),
    ...preview.warnings.map((warning) => `  Note: ${hint(warning)}`),
    ...preview.sql.map((statement) => `  SQL: ${statement}`),
    ...(preview.nothing === undefined ? [] : [`Nothing to do: ${hint(preview.nothing)}`]),
  ];
}

/** How much of the work is done, 0..1; undefined: nobody knows. */
export function shareOf({ done, total }: Progress): number | undefined {
  return done !== undefined && total !== undefined && total > 0 ? done / total : undefined;
}

/** `moving traces: 12,000 of 40,000 traces (30 %), 8,100/s, 3 s left`; sizes have their unit with the rate, too. */
export function progressLine(progress: Progress): string {
  const { phase, done, total, unit = '', rate, secondsLeft, blockedBy } = progress;
  const count = (value: number) => withSeparators(Math.round(value));
  const parts = [
    ...(done !== undefined && total !== undefined && total > 0
      ? [`${count(done)} of ${count(total)} ${unit} (${Math.floor((100 * done) / total)} %)`]
      : []),
    ...(rate === undefined ? [] : [isSize(unit) ? formatRate(rate, unit) : `${count(rate)}/s`]),
    ...(secondsLeft === undefined ? [] : [`${Math.ceil(secondsLeft)} s left`]),
    ...(blockedBy === undefined ? [] : [`waits for ${blockedBy}`]),
  ];
  return parts.length === 0 ? phase : `${phase}: ${parts.join(', ')}`;
}
