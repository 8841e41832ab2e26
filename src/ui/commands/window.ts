import { formatSpan, parseDuration, spanHint } from '../../core/format/duration.js';
import { formatMoment } from '../../core/format/time.js';
import { paneById } from '../../panes/registry.js';
import { windowsMs } from '../../panes/reading/windows.js';
import type { ColonCommand, Command, Context } from '../context.js';
import { strings } from '../strings.js';
import { asksDatabase, isShown, needsLive, whyOffline } from './kinds.js';

/** What a window may be; slices of less than a second have no figures. */
const shortestWindowMs = 10_000;
const longestWindowMs = 366 * 86_400_000;

function setWindow(context: Context, chosenMs: number): void {
  const windowMs = Math.min(longestWindowMs, Math.max(shortestWindowMs, chosenMs));
  context.source?.setWindow(windowMs);
  context.drilldowns.refresh();
  const { live } = context.model;
  const span = formatSpan(windowMs);
  context.say(
    live?.untilMs === undefined
      ? `Window: the last ${span}`
      : `Window: the ${span} before ${formatMoment(new Date(live.untilMs))}`,
  );
}

/** Round the ends. */
function step(context: Context, by: 1 | -1): void {
  const here = context.model.live?.windowMs ?? 0;
  const next = by > 0 ? windowsMs.find((ms) => ms > here) : windowsMs.findLast((ms) => ms < here);
  const round = windowsMs.at(by > 0 ? 0 : -1);
  setWindow(context, next ?? round ?? here);
}

export const longerWindow: Command = asksDatabase({
  id: 'window',
  keys: ['w'],
  title: 'the next longer time window',
  bar: 'window',
  priority: 4,
  isOnBar: (context) => isShown(context, ({ windowed }) => windowed),
  run: (context) => step(context, 1),
  unavailable: needsLive,
});

export const shorterWindow: Command = asksDatabase({
  id: 'window-shorter',
  keys: ['W'],
  title: 'the next shorter time window',
  run: (context) => step(context, -1),
  unavailable: needsLive,
});

/** A span of time that says what is asked; in a recording that was decided when it was made. */
export function withSpan(set: (context: Context, ms: number) => void): ColonCommand['run'] {
  return (context, argument) => {
    const ms = parseDuration(argument);
    if (context.player) context.say(whyOffline(context), 'warning');
    else if (ms === undefined)
      context.say(`Not a span of time: ${argument}. ${spanHint}`, 'warning');
    else set(context, ms);
  };
}

export const isSpan = (text: string) => parseDuration(text) !== undefined;

export const colonWindow: ColonCommand = {
  name: 'window',
  needsDatabase: true,
  title: 'how far back the figures go',
  argument: '15m, 2h, 3d',
  accepts: isSpan,
  values: () => windowsMs.map(formatSpan),
  run: withSpan(setWindow),
};

/** The window before beside the one that is shown, with what fails more on top. */
export const compare: Command = {
  id: 'beside-before',
  keys: ['B'],
  title: 'beside the window before, what got worse on top; again: as usual',
  bar: 'before',
  priority: 6,
  run(context) {
    const { focus } = context;
    const own = paneById(focus.pane.id);
    const isCompared = focus.view.compared !== true;
    const sort = isCompared ? own.sorts.length : 0;
    focus.change({ compared: isCompared, sort, reversed: false, shift: 0 });
    const { title, sorts } = focus.pane;
    context.say(
      isCompared
        ? strings.sortedBy(title, sorts[sort]?.title ?? '', 'first')
        : `${title}: as usual`,
    );
  },
  unavailable: ({ focus: { pane } }) =>
    pane.comparison ? undefined : `${pane.title} has no window before`,
};

/** Counts the whole window anew for the focused pane, whatever that costs. */
export const exact: Command = asksDatabase({
  id: 'exact',
  keys: ['E'],
  title: 'exact figures of the window, whatever they cost; again: as usual',
  run(context) {
    const { id, title } = context.focus.pane;
    const isExact = !(context.model.live?.panes[id].exact ?? false);
    context.source?.setExact(id, isExact);
    context.say(isExact ? `${title}: counting every row of the window` : `${title}: as usual`);
  },
  unavailable(context) {
    const { windowed, title } = context.focus.pane;
    return needsLive(context) ?? (windowed ? undefined : strings.noTimeWindow(title));
  },
});
