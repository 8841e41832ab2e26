import type { ReactNode } from 'react';
import { sessionExitCodes, type TerminalSession } from './session.js';

/**
 * Draws an element with Ink in a session. Ink's exit() ends the session: without an error as `q`
 * does, with one as a crash. Errors in components and in key handlers end it too.
 */
export async function mount(session: TerminalSession, element: ReactNode): Promise<void> {
  const { render } = await import('ink');
  const instance = render(element, {
    stdout: session.screen.stdout,
    stdin: session.input.stdin,
    // Each write is one whole frame, which the screen compares and paints.
    debug: true,
    exitOnCtrlC: false,
    patchConsole: false,
    isScreenReaderEnabled: false,
  });
  session.onEnd(() => instance.unmount());
  instance.waitUntilExit().then(
    () => session.end(sessionExitCodes.quit),
    (error: unknown) => session.end(sessionExitCodes.crash, error),
  );
}
