import { cadencesMs } from '../../live/engine.js';
import { parseFilter } from '../../panes/filter.js';
import { windowsMs } from '../../panes/windows.js';
import { formatSpan, parseDuration } from '../../shared/format/duration.js';
import type { ConsoleApp } from './console-app.js';

/** Something of the console that is set by name: `window 15m`. */
export type Setting = {
  name: string;
  says: string;
  /** What may be typed behind the name; absent where only `values` may. */
  argument?: string;
  /** What can be chosen; '' where nothing follows the name. */
  values?(app: ConsoleApp): readonly string[];
  run(app: ConsoleApp, argument: string): void;
};

/** Everything that `:` can set, beside the panes and the commands of the key map. */
export const settings: readonly Setting[] = [
  {
    name: 'window',
    says: 'how far back the figures go',
    values: () => windowsMs.map(formatSpan),
    run(app, argument) {
      const ms = parseDuration(argument);
      if (ms === undefined) return;
      app.engine?.setWindow(ms);
      app.say(`Window: the last ${formatSpan(ms)}`);
    },
  },
  {
    name: 'every',
    says: 'how often the panes are asked',
    values: () => cadencesMs.map(formatSpan),
    run(app, argument) {
      const ms = parseDuration(argument);
      if (ms === undefined) return;
      app.engine?.setCadence(ms);
      app.say(`Asking every ${formatSpan(ms)}, where that costs the server little`);
    },
  },
  {
    name: 'sort',
    says: 'order the rows of this pane',
    values: ({ focusedPane }) => focusedPane.sorts.map(({ id }) => id),
    run(app, argument) {
      const { focusedPane: pane } = app;
      const sort = pane.sorts.findIndex(({ id }) => id === argument);
      if (sort < 0) return;
      app.changePane({ sort, reversed: false });
      app.say(`${pane.title}: ${pane.sorts[sort]?.title ?? ''} first`);
    },
  },
  {
    name: 'filter',
    says: 'show only these rows of this pane',
    argument: 'WORDS',
    run(app, argument) {
      const parsed = parseFilter(argument, app.focusedPane);
      if ('error' in parsed) app.say(parsed.error, 'warning');
      else app.changePane({ filter: argument });
    },
  },
];
