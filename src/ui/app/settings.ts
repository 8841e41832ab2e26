import { cadencesMs } from '../../live/engine.js';
import { parseFilter } from '../../panes/filter.js';
import { showTimesIn } from '../../shared/format/time.js';
import { windowsMs } from '../../panes/windows.js';
import { traceOpening } from '../../panes/trace/trace-opening.js';
import { traceOfPrefixOpening, tracesOpening } from '../../panes/trace/traces-opening.js';
import { formatSpan, parseDuration } from '../../shared/format/duration.js';
import { openConnections, whyNoConnections } from './connection-commands.js';
import type { ConsoleApp } from './console-app.js';
import { whyOffline } from './offline.js';
import { chooseMoment, windowText } from './moment-commands.js';
import { goToPane } from './pane-commands.js';

/** Something of the console that is set by name: `window 15m`. */
export type Setting = {
  name: string;
  says: string;
  /** It is of the pane that has the keys, and means nothing in what Enter has opened. */
  ofPane?: true;
  /** What may be typed behind the name; absent where only `values` may. */
  argument?: string;
  /** What can be chosen; '' where nothing follows the name. */
  values?(app: ConsoleApp): readonly string[];
  /** What a value means, where that says more than the setting does. */
  valueSays?(app: ConsoleApp, value: string): string | undefined;
  run(app: ConsoleApp, argument: string): void;
};

/** An archived trace is found by its whole id. */
const openingOf = (digits: string) =>
  digits.length === 32 ? traceOpening(digits) : traceOfPrefixOpening(digits);

const hexadecimal = /^[0-9a-f]{4,32}$/;

/** A span of time that says what is asked; in a recording that was decided when it was made. */
function askingFor(set: (app: ConsoleApp, ms: number) => void): Setting['run'] {
  return (app, argument) => {
    const ms = parseDuration(argument);
    if (app.player) app.say(whyOffline(app), 'warning');
    else if (ms !== undefined) set(app, ms);
  };
}

/** Everything that `:` can set, beside the panes and the commands of the key map. */
export const settings: readonly Setting[] = [
  {
    name: 'window',
    says: 'how far back the figures go',
    values: () => windowsMs.map(formatSpan),
    run: askingFor((app, ms) => {
      app.engine?.setWindow(ms);
      app.say(windowText(app, ms));
    }),
  },
  {
    name: 'at',
    says: 'show a moment in the past: the window that ends there; now: back to now',
    argument: '14:05, 2026-11-24 14:05, 2h ago, now',
    values: () => ['now', '1h ago', '1d ago'],
    run: chooseMoment,
  },
  {
    name: 'every',
    says: 'how often the panes are asked',
    values: () => cadencesMs.map(formatSpan),
    run: askingFor((app, ms) => {
      app.engine?.setCadence(ms);
      app.say(`Asking every ${formatSpan(ms)}, where that costs the server little`);
    }),
  },
  {
    name: 'sort',
    says: 'order the rows of this pane',
    ofPane: true,
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
    name: 'trace',
    says: 'open the trace whose correlation id begins so',
    argument: 'ID',
    run(app, argument) {
      const digits = argument.toLowerCase().replaceAll('-', '');
      if (hexadecimal.test(digits)) app.openings.open(openingOf(digits));
      else app.say('An id has hexadecimal digits; give the first four at least', 'warning');
    },
  },
  {
    name: 'search',
    says: 'traces of the window with these words in their prompt',
    argument: 'WORDS',
    run(app, argument) {
      if (argument.length < 2) app.say('Give at least two letters to search for', 'warning');
      else
        app.openings.open(
          tracesOpening(`Prompts with ${argument}`, { by: 'prompt', text: argument }),
        );
    },
  },
  {
    name: 'session',
    says: 'the traces of a session',
    argument: 'ID',
    run(app, argument) {
      const digits = argument.toLowerCase().replaceAll('-', '');
      if (digits.length === 32 && hexadecimal.test(digits)) {
        app.openings.open(
          tracesOpening(`Session ${argument}`, { by: 'session', sessionId: digits }),
        );
      } else app.say('The id of a session has 32 hexadecimal digits', 'warning');
    },
  },
  {
    name: 'agent',
    says: 'the traces of the window that were given to an agent',
    argument: 'NAME',
    run(app, agent) {
      if (agent === '') app.say('Give the name of an agent', 'warning');
      else app.openings.open(tracesOpening(`Newest traces of ${agent}`, { by: 'agent', agent }));
    },
  },
  {
    name: 'follow',
    says: 'in the activity: only what belongs to this session or agent',
    argument: 'SESSION or AGENT',
    run(app, argument) {
      if (argument === '')
        app.say('Give a session, the beginning of its id, or an agent', 'warning');
      else {
        goToPane(app, 'activity');
        const field = hexadecimal.test(argument.toLowerCase().replaceAll('-', ''))
          ? 'session'
          : 'agent';
        app.changePane({ filter: `${field}:"${argument.replaceAll('"', '')}"`, follow: true });
      }
    },
  },
  {
    name: 'connect',
    says: 'go to another database; alone: the list of them',
    argument: 'NAME',
    values: ({ connections }) => ['', ...(connections?.choices.map(({ name }) => name) ?? [])],
    valueSays: ({ connections }, value) =>
      connections?.choices.find(({ name }) => name === value)?.says,
    run(app, name) {
      const reason = whyNoConnections(app);
      if (reason !== undefined) app.say(reason, 'warning');
      else if (name === '') openConnections(app);
      else app.connections?.goTo(name);
    },
  },
  {
    name: 'time',
    says: 'moments in UTC, or in the time zone of this machine',
    values: () => ['utc', 'local'],
    run(app, argument) {
      const utc = argument === 'utc';
      showTimesIn(utc ? 'utc' : 'local');
      app.update({ utc });
      app.say(utc ? 'Moments are in UTC' : 'Moments are in local time');
    },
  },
  {
    name: 'filter',
    says: 'show only these rows of this pane',
    ofPane: true,
    argument: 'WORDS',
    run(app, argument) {
      const parsed = parseFilter(argument, app.focusedPane);
      if ('error' in parsed) app.say(parsed.error, 'warning');
      else app.changePane({ filter: argument });
    },
  },
];
