import { forMultiplexer, type Environment } from './multiplexer.js';
import { safeLine } from './sanitise.js';

/** More than a notification shows. */
const longest = 200;

/**
 * The control sequence (OSC 9) by which iTerm2, kitty, WezTerm, ghostty, foot and Windows Terminal show a
 * desktop notification; other terminals ignore it.
 */
export function notification(text: string, environment: Environment): string {
  // A number before the first semicolon would be another command of OSC 9 (progress bars).
  const safe = safeLine(text).replaceAll(';', ',').slice(0, longest);
  return forMultiplexer(`\x1b]9;${safe}\x07`, environment);
}
