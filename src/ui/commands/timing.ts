import { formatSpan, formatMoment } from '../../core/format/time.js';
import { cadenceRange, cadencesMs, readCadence } from '../../live/schedule.js';
import { namedCommands } from '../../panes/contract/pane.js';
import { readWindow, windowRange, windowsMs } from '../../panes/reading/windows.js';
import { paneById } from '../../panes/registry.js';
import type { ColonCommand, Command, Context } from '../context.js';
import type { Binding } from '../keymap.js';
import { strings } from '../strings.js';
import { asksDatabase, isShown, needsLive, whyOffline } from './kinds.js';

function setWindow(context: Context, windowMs: number): void {
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

/** After the longest window comes the shortest, and the other way round. */
function stepWindow(context: Context, by: 1 | -1): void {
  const here = context.model.live?.windowMs ?? 0;
  const next = by > 0 ? windowsMs.find((ms) => ms > here) : windowsMs.findLast((ms) => ms < here);
  const round = windowsMs.at(by > 0 ? 0 : -1);
  setWindow(context, next ?? round ?? here);
}

function needsWindow(context: Context): string | undefined {
  return context.front.whyNoWindow ?? needsLive(context);
}

export const longerWindow: Command = asksDatabase({
  id: namedCommands.window,
  keys: ['w'],
  title: 'the next longer time window',
  bar: 'window',
  priority: 4,
  isOnBar: (context) => isShown(context, ({ windowed }) => windowed),
  run: (context) => stepWindow(context, 1),
  unavailable: needsWindow,
});

export const shorterWindow: Command = asksDatabase({
  id: 'window-shorter',
  keys: ['W'],
  title: 'the next shorter time window',
  run: (context) => stepWindow(context, -1),
  unavailable: needsWindow,
});

/** What a command takes as its span of time: exactly what was typed, or nothing. */
type Span = { what: string; range: string; read: (text: string) => number | undefined };

/** Runs a command whose argument is a span of time. A recording cannot change its window or cadence. */
function withSpan(
  { what, range, read }: Span,
  set: (context: Context, ms: number) => void,
): ColonCommand['run'] {
  return (context, argument) => {
    const ms = read(argument);
    if (context.player) context.say(whyOffline(context), 'warning');
    else if (ms === undefined) {
      const given = argument === '' ? 'Nothing' : `"${argument}"`;
      context.say(`${given} is no ${what}; give ${range}`, 'warning');
    } else set(context, ms);
  };
}

export const colonWindow: ColonCommand = {
  name: namedCommands.window,
  needsDatabase: true,
  title: 'how far back the figures go',
  argument: '15m, 2h, 3d',
  takesAnyText: true,
  values: () => windowsMs.map(formatSpan),
  run: withSpan({ what: 'time window', range: windowRange, read: readWindow }, setWindow),
};

/** Puts the window before beside the rows, with what fails more on top, or takes it away. */
function besideBefore(context: Context, compared: boolean): void {
  const { focus } = context;
  const sort = compared ? paneById(focus.pane.id).sorts.length : 0;
  focus.change({ compared, sort, reversed: false, shift: 0 });
  const { title, sorts } = focus.pane;
  context.say(
    compared
      ? strings.sortedBy(title, sorts[sort]?.title ?? '', 'first')
      : `${title}: without the window before`,
  );
}

/** Shows the figures of the window before beside the current ones, what got worse on top. */
export const compare: Command = {
  id: 'beside-before',
  keys: ['B'],
  title: 'beside the window before, what got worse on top; again: as usual',
  bar: 'before',
  priority: 6,
  run: (context) => besideBefore(context, context.focus.view.compared !== true),
  unavailable: ({ focus: { pane } }) =>
    pane.comparison ? undefined : `${pane.title} has no window before`,
};

/** `:agents before`, whatever {@link compare} did before. */
export const colonBeside: ColonCommand = {
  name: 'beside',
  title: 'the rows of this pane beside the window before, what got worse on top',
  ofPane: true,
  choices: ({ comparison }) =>
    comparison ? [{ id: 'before', title: 'the window before, what got worse on top' }] : [],
  values: ({ focus }) => (focus.pane.comparison ? ['before'] : []),
  run: (context) => besideBefore(context, true),
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

export const pause: Command = {
  id: 'pause',
  keys: ['space'],
  title: 'pause, and refresh again',
  bar: 'pause',
  priority: 6,
  run(context) {
    const isPaused = !(context.model.live?.paused ?? false);
    context.source?.setPaused(isPaused);
    const key = context.keys.keyOf(refresh.id);
    const [paused, goesOn] = context.player
      ? ['Paused', 'Playing']
      : [`Paused; ${key} refreshes once`, 'Refreshing again'];
    context.say(isPaused ? paused : goesOn);
  },
  unavailable: needsLive,
};

export const refresh: Command = asksDatabase({
  id: 'refresh',
  keys: ['ctrl+r'],
  title: 'read everything again now, also while paused; try to connect at once',
  bar: 'now',
  priority: 9,
  run(context) {
    context.source?.refreshNow();
    context.say(strings.refreshing);
  },
  unavailable: needsLive,
});

function setCadence(context: Context, cadenceMs: number): void {
  context.source?.setCadence(cadenceMs);
  context.say(strings.refreshEvery(formatSpan(cadenceMs)));
}

/** Refreshes more or less often; in a recording its speed. */
function stepPace(by: 1 | -1, binding: Binding): Command {
  const nextSpeed = ({ player }: Context) =>
    player?.speeds[player.speeds.indexOf(player.replay.speed) + by];
  const nextCadence = ({ model }: Context) =>
    by > 0
      ? cadencesMs.findLast((ms) => ms < (model.live?.cadenceMs ?? 0))
      : cadencesMs.find((ms) => ms > (model.live?.cadenceMs ?? 0));
  return {
    ...binding,
    run(context) {
      const { player } = context;
      const speed = nextSpeed(context);
      const cadenceMs = nextCadence(context);
      if (player && speed !== undefined) {
        player.setSpeed(speed);
        context.say(`${speed} times as fast as it was: a minute in ${formatSpan(60_000 / speed)}`);
      } else if (!player && cadenceMs !== undefined) setCadence(context, cadenceMs);
    },
    unavailable(context) {
      const { live } = context.model;
      if (context.player)
        return nextSpeed(context) === undefined ? 'It goes no further' : undefined;
      if (!live) return needsLive(context);
      if (nextCadence(context) !== undefined) return undefined;
      return `${formatSpan(live.cadenceMs)} is the ${by > 0 ? 'fastest' : 'slowest'} refresh`;
    },
  };
}

export const faster = stepPace(1, {
  id: 'faster',
  keys: ['+', '='],
  title: 'refresh more often',
  bar: 'cadence',
  barWith: 'slower',
  priority: 8,
});

export const slower = stepPace(-1, { id: 'slower', keys: ['-', '_'], title: 'refresh less often' });

export const colonEvery: ColonCommand = {
  name: 'every',
  needsDatabase: true,
  title: 'how often the panes are refreshed',
  argument: '3s, 1m',
  takesAnyText: true,
  values: () => cadencesMs.map(formatSpan),
  run: withSpan(
    { what: 'time between refreshes', range: cadenceRange, read: readCadence },
    setCadence,
  ),
};
