import { mount } from '../../terminal/mount.js';
import type { TerminalSession } from '../../terminal/session.js';
import type { Theme } from '../theme.js';
import { App } from './app.js';
import type { ConsoleApp } from './console-app.js';

/** Loads Ink and hands it the screen. */
export function mountApp(session: TerminalSession, app: ConsoleApp, theme: Theme): Promise<void> {
  return mount(session, <App app={app} theme={theme} />);
}
