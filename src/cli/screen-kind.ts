import { ConsoleError } from '../db/errors.js';
import { canPaint } from '../terminal/support.js';

type Asked = { screenReader: boolean };

/** Whether changes are told in lines instead of being painted: by the flag, or for all programs' starts. */
export function isLinear({ screenReader }: Asked, environment: NodeJS.ProcessEnv): boolean {
  const { TRACE_CONSOLE_SCREEN_READER: always = '' } = environment;
  return screenReader || !['', '0', 'false', 'no', 'off'].includes(always.toLowerCase());
}

/**
 * How the screen is drawn on this terminal.
 * @throws ConsoleError `usage` where it cannot be
 */
export function screenOptions(
  flags: Asked,
  interactive: boolean,
  environment: NodeJS.ProcessEnv = process.env,
): { isLinear: boolean } {
  const isTold = isLinear(flags, environment);
  if (interactive && (isTold || canPaint(environment))) return { isLinear: isTold };
  throw new ConsoleError(
    'usage',
    interactive ? 'This terminal cannot be painted (TERM=dumb).' : 'This needs a terminal.',
    {
      hint: 'trace-console status prints the figures once; --screen-reader tells changes in lines.',
    },
  );
}
