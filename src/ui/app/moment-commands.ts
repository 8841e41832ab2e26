import { formatSpan } from '../../shared/format/duration.js';
import { parseMoment } from '../../shared/format/moment.js';
import { formatMoment } from '../../shared/format/time.js';
import type { TimeCommandId } from '../keys/time-keys.js';
import { initialPaneView } from '../model/pane-view.js';
import type { Command } from './commands.js';
import type { ConsoleApp } from './console-app.js';
import { needsLive, whyOffline } from './offline.js';
import { seekBy } from './replay-commands.js';

const minuteMs = 60_000;
const dayMs = 86_400_000;

/** The server's clock: moments are compared with what it wrote. */
function serverNow({ engine, model }: ConsoleApp): number {
  return (engine?.clock.wallNow() ?? Date.now()) + (model.live?.vitals?.clockOffsetMs ?? 0);
}

/** Shows the windows that end at a moment in the past; undefined: now, with the tail followed again. */
export function showMoment(app: ConsoleApp, untilMs: number | undefined): void {
  const { panes, live } = app.model;
  app.engine?.setUntil(untilMs);
  const { filter } = panes.activity;
  app.update({ panes: { ...panes, activity: { ...initialPaneView, filter } } });
  const span = formatSpan(live?.windowMs ?? 0);
  app.say(
    untilMs === undefined
      ? 'Now again'
      : `The ${span} before ${formatMoment(new Date(untilMs))}; Esc or :at now leads back to now`,
  );
}

/** What a window is of. */
export function windowText({ model: { live } }: ConsoleApp, windowMs: number): string {
  const span = formatSpan(windowMs);
  return live?.untilMs === undefined
    ? `Window: the last ${span}`
    : `Window: the ${span} before ${formatMoment(new Date(live.untilMs))}`;
}

/** `:at`, as it was typed. */
export function chooseMoment(app: ConsoleApp, text: string): void {
  if (app.player) {
    app.say(whyOffline(app), 'warning');
    return;
  }
  const named = parseMoment(text, serverNow(app));
  if ('error' in named) app.say(`${named.error} ${named.hint}`, 'warning');
  else showMoment(app, named.untilMs);
}

/** By a window, or a day; the first step back leads to a whole minute, the last one on to now. */
function step(by: (windowMs: number) => number, seekMs: number): Command {
  const target = (app: ConsoleApp) => {
    const { windowMs = 0, untilMs } = app.model.live ?? {};
    const nowMs = serverNow(app);
    const from = untilMs ?? Math.floor(nowMs / minuteMs) * minuteMs;
    const next = from + by(windowMs);
    return next > nowMs - minuteMs ? undefined : next;
  };
  const seek = seekBy(seekMs);
  return {
    run: (app, key) => (app.player ? seek.run(app, key) : showMoment(app, target(app))),
    unavailable(app, key) {
      if (app.player) return seek.unavailable?.(app, key);
      const isNow = app.model.live?.untilMs === undefined;
      return (
        needsLive(app) ??
        (isNow && seekMs > 0 ? `This is now; ${app.keys.keyOf('earlier')} leads back` : undefined)
      );
    },
  };
}

export const momentCommands: Readonly<Record<TimeCommandId, Command>> = {
  earlier: step((windowMs) => -windowMs, -10_000),
  later: step((windowMs) => windowMs, 10_000),
  farEarlier: step(() => -dayMs, -5 * minuteMs),
  farLater: step(() => dayMs, 5 * minuteMs),
};
