import { ConsoleApp } from '../../src/ui/app/console-app.js';
import type { AppTerminal } from '../../src/ui/app/options.js';
import type { View } from '../../src/ui/context.js';

/** A console on no terminal, as wide as Ink's test renderer, with these views on its stack. */
export function consoleWith(...views: View[]): ConsoleApp {
  const terminal: AppTerminal = {
    size: { columns: 100, rows: 35 },
    onResize: () => undefined,
    end: () => undefined,
    log: () => undefined,
    copy: () => ({ sequence: '', copiedBytes: 0, isCut: false, doubt: undefined }),
    notify: () => undefined,
  };
  const app = new ConsoleApp(terminal);
  app.update({ views: [...app.model.views, ...views] });
  return app;
}
