import type { Command } from './commands.js';
import type { ConsoleApp } from './console-app.js';

/** Why nothing can be asked or changed where there is no database. */
export function whyOffline({ player }: ConsoleApp): string {
  return player ? 'This is a recording: nothing is asked or changed' : 'There is no connection yet';
}

/** Pressing a key before the connection is open must not vanish without a word. */
export function needsLive(app: ConsoleApp): string | undefined {
  return app.model.live ? undefined : whyOffline(app);
}

/** A command that asks the database; a recording has none. */
export function asks(command: Command): Command {
  return {
    ...command,
    unavailable: (app, key) => (app.player ? whyOffline(app) : command.unavailable?.(app, key)),
  };
}
