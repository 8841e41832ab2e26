import { speeds, type Player } from '../../live/recording/player.js';
import { formatSpan } from '../../shared/format/duration.js';
import type { Command } from './commands.js';
import type { ConsoleApp } from './console-app.js';

/** Goes on in a recording, or back. */
export function seekBy(byMs: number): Command {
  return {
    run: ({ player }) => player?.seek(byMs),
    unavailable({ player }) {
      if (!player) return 'Only in a recording: trace-console replay FILE';
      const { share } = player.replay;
      if (byMs > 0 && share >= 1) return 'This is the end of the recording';
      return byMs < 0 && share <= 0 ? 'This is the beginning of the recording' : undefined;
    },
  };
}

/** In a recording `+` and `-` set its speed; elsewhere they are the command's own. */
export function speedOr(by: 1 | -1, command: Command): Command {
  const next = (player: Player) => speeds[speeds.indexOf(player.replay.speed) + by];
  return {
    run(app, key) {
      const speed = app.player && next(app.player);
      if (!app.player || speed === undefined) {
        command.run(app, key);
        return;
      }
      app.player.setSpeed(speed);
      app.say(`${speed} times as fast as it was: a minute in ${formatSpan(60_000 / speed)}`);
    },
    unavailable(app, key) {
      if (!app.player) return command.unavailable?.(app, key);
      return next(app.player) === undefined ? 'It goes no further' : undefined;
    },
  };
}

/** Space, in a recording: stops it, and lets it go on. */
export function togglePlay(app: ConsoleApp): void {
  const paused = !(app.model.live?.paused ?? false);
  app.engine?.setPaused(paused);
  app.say(paused ? 'The recording stands still' : 'The recording goes on');
}
