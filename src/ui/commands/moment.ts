import { formatSpan, formatMoment, parseMoment } from '../../core/format/time.js';
import { compareOpening } from '../../panes/compare.js';
import { panes } from '../../panes/registry.js';
import type { ColonCommand, Command, Context } from '../context.js';
import type { Binding } from '../keymap.js';
import { initialPaneView } from '../model/pane-view.js';
import { looksBack } from '../../panes/contract/pane.js';
import { faster, pause, slower } from './timing.js';
import { isShown, needsLive, whyOffline } from './kinds.js';

const minuteMs = 60_000;
const dayMs = 86_400_000;

/** The server's clock: moments are compared with what it wrote. */
function serverNow({ source, model }: Context): number {
  return (source?.clock.wallNow() ?? Date.now()) + (model.live?.vitals?.clockOffsetMs ?? 0);
}

/** Shows the windows that end at a moment in the past; undefined: now, with tails followed again. */
export function showMoment(context: Context, untilMs: number | undefined): void {
  const { panes: views, live } = context.model;
  context.source?.setUntil(untilMs);
  const tails = panes
    .filter(({ isTail }) => isTail)
    .map(({ id }) => [id, { ...initialPaneView, filter: views[id].filter }] as const);
  context.update({ panes: { ...views, ...Object.fromEntries(tails) } });
  context.drilldowns.refresh();
  const span = formatSpan(live?.windowMs ?? 0);
  context.say(
    untilMs === undefined
      ? 'Now again'
      : `The ${span} before ${formatMoment(new Date(untilMs))}; Esc or :at now leads back to now`,
  );
}

export const colonAt: ColonCommand = {
  name: 'at',
  needsDatabase: true,
  title: 'show a moment in the past: the window that ends there; now: back to now',
  argument: '14:05, 2026-11-24 14:05, 2h ago, now',
  values: () => ['now', '1h ago', '1d ago'],
  takesAnyText: true,
  run(context, text) {
    const named = typedMoment(context, text);
    if (named) showMoment(context, named.untilMs);
  },
};

/** The moment that was typed; undefined when it cannot be shown: the bottom line then says why. */
function typedMoment(context: Context, text: string): { untilMs: number | undefined } | undefined {
  const named = context.player
    ? { error: whyOffline(context) }
    : parseMoment(text, serverNow(context));
  if (!('error' in named)) return named;
  context.say('hint' in named ? `${named.error} ${named.hint}` : named.error, 'warning');
  return undefined;
}

export const colonCompare: ColonCommand = {
  name: 'compare',
  needsDatabase: true,
  title:
    'what got worse and better at a moment: the window before it and the one after, in all panes',
  argument: '14:05, yesterday 14:05, -2h',
  values: () => ['-5m', '-1h', '-1d'],
  takesAnyText: true,
  run(context, text) {
    const named = typedMoment(context, text);
    if (!named) return;
    if (named.untilMs === undefined) context.say('A moment in the past is compared', 'warning');
    else context.drilldowns.open(compareOpening(named.untilMs));
  },
};

type Step = {
  /** How far in the data, for a window. */
  by(windowMs: number): number;
  /** How far in a recording. */
  seekMs: number;
};

/** Where a step leads. The first one back starts from a whole minute; one that comes within a minute of now leads to now (undefined). */
function targetOf(context: Context, step: Step): number | undefined {
  const { windowMs = 0, untilMs } = context.model.live ?? {};
  const nowMs = serverNow(context);
  const from = untilMs ?? Math.floor(nowMs / minuteMs) * minuteMs;
  const next = from + step.by(windowMs);
  return next > nowMs - minuteMs ? undefined : next;
}

function whyNoSeek({ player }: Context, seekMs: number): string | undefined {
  const share = player?.replay.share ?? 0;
  if (seekMs > 0 && share >= 1) return 'This is the end of the recording';
  return seekMs < 0 && share <= 0 ? 'This is the beginning of the recording' : undefined;
}

/** A command that steps through time: it moves the end of the window, or seeks in a recording. */
function stepping(step: Step, binding: Binding, isOnBar?: Command['isOnBar']): Command {
  return {
    ...binding,
    ...(isOnBar ? { isOnBar } : {}),
    run(context) {
      if (context.player) context.player.seek(step.seekMs);
      else showMoment(context, targetOf(context, step));
    },
    unavailable(context) {
      if (context.player) return whyNoSeek(context, step.seekMs);
      const { whyNoWindow } = context.front;
      if (whyNoWindow !== undefined) return whyNoWindow;
      const isNow = context.model.live?.untilMs === undefined;
      const back = `This is now; ${context.keys.keyOf('earlier')} leads back`;
      return needsLive(context) ?? (isNow && step.seekMs > 0 ? back : undefined);
    },
  };
}

export const moments: readonly Command[] = [
  stepping(
    { by: (windowMs) => -windowMs, seekMs: -10_000 },
    {
      id: 'earlier',
      keys: ['['],
      title: `back in time by a window; :${colonAt.name} 14:05 chooses a moment. In a recording: 10 seconds back; :${pause.id} stops it, :${faster.id} and :${slower.id} set its speed`,
      bar: 'back in time',
      barWith: 'later',
      priority: 7,
    },
    (context) => context.player !== undefined || isShown(context, looksBack),
  ),
  stepping(
    { by: (windowMs) => windowMs, seekMs: 10_000 },
    {
      id: 'later',
      keys: [']'],
      title: 'on by a window, until now again. In a recording: by 10 seconds',
    },
  ),
  stepping(
    { by: () => -dayMs, seekMs: -5 * minuteMs },
    {
      id: 'far-earlier',
      keys: ['{'],
      title: 'back by a day, to the same time. In a recording: by 5 minutes',
    },
  ),
  stepping(
    { by: () => dayMs, seekMs: 5 * minuteMs },
    { id: 'far-later', keys: ['}'], title: 'on by a day. In a recording: by 5 minutes' },
  ),
];
