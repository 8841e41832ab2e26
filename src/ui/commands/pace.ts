import { formatSpan } from '../../core/format/duration.js';
import { cadencesMs } from '../../live/engine.js';
import { speeds } from '../../live/recording/player.js';
import type { ColonCommand, Command, Context } from '../context.js';
import type { Binding } from '../keymap.js';
import { strings } from '../strings.js';
import { asksDatabase, needsLive } from './kinds.js';
import { isSpan, withSpan } from './window.js';

export const pause: Command = {
  id: 'pause',
  keys: ['space'],
  title: 'pause, and refresh again',
  bar: 'pause',
  priority: 6,
  run(context) {
    const isPaused = !(context.model.live?.paused ?? false);
    context.source?.setPaused(isPaused);
    const refresh = context.keys.keyOf('refresh');
    const [paused, goesOn] = context.player
      ? ['Paused', 'Playing']
      : [`Paused; ${refresh} refreshes once`, 'Refreshing again'];
    context.say(isPaused ? paused : goesOn);
  },
  unavailable: needsLive,
};

export const refresh: Command = asksDatabase({
  id: 'refresh',
  keys: ['ctrl+r'],
  title: 'refresh now, also while paused; try to connect at once',
  bar: 'now',
  priority: 9,
  run(context) {
    context.source?.refreshNow();
    context.say(strings.refreshing);
  },
  unavailable: needsLive,
});

function setCadence(context: Context, chosenMs: number): void {
  const cadenceMs = Math.max(cadencesMs[0] ?? 0, chosenMs);
  context.source?.setCadence(cadenceMs);
  context.say(strings.refreshEvery(formatSpan(cadenceMs)));
}

/** Refreshes more or less often; in a recording its speed. */
function step(by: 1 | -1, binding: Binding): Command {
  const nextSpeed = ({ player }: Context) =>
    player && speeds[speeds.indexOf(player.replay.speed) + by];
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

export const faster = step(1, {
  id: 'faster',
  keys: ['+', '='],
  title: 'refresh more often',
  bar: 'cadence',
  barWith: 'slower',
  priority: 8,
});

export const slower = step(-1, { id: 'slower', keys: ['-', '_'], title: 'refresh less often' });

export const colonEvery: ColonCommand = {
  name: 'every',
  needsDatabase: true,
  title: 'how often the panes are refreshed',
  argument: '3s, 1m',
  accepts: isSpan,
  values: () => cadencesMs.map(formatSpan),
  run: withSpan(setCadence),
};
