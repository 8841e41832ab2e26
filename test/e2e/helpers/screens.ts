import { overviewPaneIds, type PaneId } from '../../../src/panes/registry.js';
import { panes, paneKey } from '../../../src/panes/registry.js';

/** The sizes for which a layout was designed; the last is a tall, narrow part of a screen. */
export const screenSizes = [
  { cols: 200, rows: 60 },
  { cols: 120, rows: 35 },
  { cols: 80, rows: 24 },
  { cols: 60, rows: 70 },
] as const;

/** What is pressed, and what the screen shows then. */
export type Step = readonly [
  keys: string,
  shows: string | RegExp | ((lines: readonly string[]) => boolean),
];

/** What a console is opened on. */
export type ScreenPlace = 'database' | 'alerts' | 'firstRun' | 'otherTables' | 'replay' | 'lost';

export type Screen = {
  /** Of its picture. */
  name: string;
  /** Of its picture, in words. */
  title: string;
  /** On what the console is opened; default: a database. */
  place?: ScreenPlace;
  /** The id of the focused view's keys. */
  scope: string;
  /** On the border of the box that has the keys. */
  heading: string | RegExp;
  /** The pane that it shows. */
  pane?: PaneId;
  /** From the overview to where it is opened. */
  steps?: readonly Step[];
  /** Whether the cursor is moved then, so that it stands on a row that somebody chose. */
  fromSecondRow?: boolean;
  /** Opens it: on the way back the cursor is where it was before. */
  opens?: readonly Step[];
  /** Held in another session while it is open. */
  lock?: string;
  /** Done before the way back, when the lock is given back. */
  ends?: Step;
  /** What it does puts the rows behind it into another order. */
  movesRows?: true;
};

/** On the whole screen. */
const covers = (heading: string) => (lines: readonly string[]) =>
  lines[2]?.startsWith(`┏━ ${heading}`) === true;

const isInOverview = (id: PaneId) => overviewPaneIds.some((shown) => shown === id);

function headingOf(id: PaneId, title: string): string {
  const key = paneKey(id);
  return key === undefined ? title : `${key} ${title}`;
}

/** To a pane, on the whole screen. */
function toPane(id: PaneId): Step[] {
  const title = panes.find((pane) => pane.id === id)?.title ?? id;
  const heading = headingOf(id, title);
  const whole = covers(heading);
  if (!isInOverview(id)) return [[`:${id}\r`, (lines) => whole(lines) && !isAsking(lines)]];
  return [
    [`:${id}\r`, `┏━ ${heading}`],
    ['z', whole],
  ];
}

function isAsking(lines: readonly string[]): boolean {
  return lines.some((line) => line.includes('asking …'));
}

const paneScreens: Screen[] = panes.map(({ id, title }) => ({
  name: `pane-${id}`,
  title: `${title} on the whole screen`,
  scope: 'panes',
  heading: headingOf(id, title),
  pane: id,
  steps: toPane(id),
}));

/** What Enter on a row of each pane leads to. */
const openings: Readonly<Record<PaneId, { scope: string; heading: string | RegExp }>> = {
  'recent-traces': { scope: 'list', heading: 'Traces: ' },
  'slow-hooks': { scope: 'list', heading: 'Calls: ' },
  'index-usage': { scope: 'record', heading: 'Index ' },
  'table-sizes': { scope: 'record', heading: 'Table ' },
  'top-patterns': { scope: 'record', heading: 'Pattern ' },
  activity: { scope: 'trace', heading: /Trace [0-9a-f]{8}-/ },
  agents: { scope: 'list', heading: 'Traces of ' },
  errors: { scope: 'list', heading: 'Failures: ' },
  endpoints: { scope: 'list', heading: 'Calls of ' },
  postgresql: { scope: 'record', heading: /━ Backend \d/ },
  models: { scope: 'list', heading: 'Traces of ' },
  sessions: { scope: 'record', heading: 'Session ' },
  usage: { scope: 'list', heading: 'Traces: ' },
  'agent-chains': { scope: 'record', heading: 'Chain' },
  'maintenance-runs': { scope: 'record', heading: 'Run' },
  archive: { scope: 'trace', heading: /Trace [0-9a-f]{8}-/ },
  doctor: { scope: 'record', heading: /━ (?!Doctor)\w/ },
};

/** The box of a screen is there, and read. */
const opened = (heading: string | RegExp) => (lines: readonly string[]) =>
  lines.some((line) => headingAt(line, heading) >= 0) && !isAsking(lines);

/** Where in the line the border of a box with this heading begins; -1: it does not. */
export function headingAt(line: string, heading: string | RegExp): number {
  for (let at = line.indexOf('┏'); at >= 0; at = line.indexOf('┏', at + 1)) {
    const [border = ''] = line.slice(at).split('┓', 1);
    const isIt =
      typeof heading === 'string' ? border.startsWith(`┏━ ${heading}`) : heading.test(border);
    if (isIt) return at;
  }
  return -1;
}

const openedScreens: Screen[] = panes.map(({ id, title }) => {
  const { scope, heading } = openings[id];
  return {
    name: `opened-${id}`,
    title: `What Enter opens in ${title}`,
    scope,
    heading,
    steps: [...toPane(id), ...(id === 'postgresql' ? [['', / idle i/] as const] : [])],
    // What sessions do changes from one moment to the next; the activity begins at its last row.
    fromSecondRow: id !== 'postgresql' && id !== 'activity',
    opens: [['\r', opened(heading)]],
  };
});

/** A preview with its question. */
function preview(
  name: string,
  title: string,
  steps: Step[],
  key: string,
  heading: string,
  scope: 'confirm' | 'confirm-word' = 'confirm',
): Screen {
  return {
    name,
    title,
    scope,
    heading,
    steps,
    opens: [[key, /\[ Cancel \]|Type ".*" and Enter to do it/]],
  };
}

const actionScreens: Screen[] = [
  preview(
    'reindex',
    'The preview before an index is rebuilt',
    toPane('index-usage'),
    'r',
    'Reindex ',
  ),
  preview('reindex-vectors', 'Before all vector indexes are rebuilt', [], 'R', 'Reindex'),
  preview('clean-up', 'Before leftovers are dropped', [], 'x', 'Clean up'),
  preview('archive-traces', 'Before traces are archived', [], 'a', 'Archive '),
  preview('prune', 'Before patterns are pruned', [], 'p', 'Prune', 'confirm-word'),
  preview('learn', 'Before turns are learned from', [], 'U', 'Learn from traces'),
  preview(
    'merge-patterns',
    'Before patterns that ask for the same are merged',
    toPane('top-patterns'),
    'P',
    'Merge patterns',
    'confirm-word',
  ),
  preview('analyze', 'Before statistics are updated', toPane('table-sizes'), 'u', 'Analyze'),
  preview('vacuum', 'Before a table is vacuumed', toPane('table-sizes'), 'v', 'Vacuum'),
  preview(
    'restore',
    'Before an archived trace is restored',
    toPane('archive'),
    'b',
    'Restore from the archive',
  ),
  preview(
    'purge',
    'A typed word before something is deleted',
    toPane('archive'),
    'D',
    'Purge from the archive',
    'confirm-word',
  ),
];

const inTrace: Step[] = [
  ...toPane('recent-traces'),
  ['\r', opened('Traces: ')],
  ['\r', opened(/Trace [0-9a-f]{8}-/)],
];

/** What keeps a rebuild of whatever index waiting. */
const writing =
  'LOCK TABLE execution_traces, hook_executions, endpoint_calls, agent_routing_decisions, success_patterns, pattern_usage_log, agent_chaining_patterns, error_patterns IN ROW EXCLUSIVE MODE';
const rebuilding: Step[] = [...toPane('index-usage'), ['r', '[ Cancel ]']];

const otherScreens: Screen[] = [
  { name: 'overview', title: 'The overview', scope: 'panes', heading: '1 Recent traces' },
  {
    name: 'panes',
    title: 'All panes, to choose from',
    scope: 'paneList',
    heading: 'Panes, ● in the overview',
    opens: [['o', 'Panes, ● in the overview']],
  },
  {
    name: 'help',
    title: 'The help',
    scope: 'help',
    heading: 'Keys',
    opens: [['?', 'In the panes']],
  },
  {
    name: 'commands',
    title: 'Every command, pane and setting by name',
    scope: 'prompt',
    heading: /Commands, \d+/,
    opens: [[':win', 'window 6h']],
  },
  {
    name: 'filter',
    title: 'The activity, filtered as it is typed',
    scope: 'prompt',
    heading: '6 Activity',
    steps: toPane('activity'),
    opens: [['/kind:hook took>1ms', '/kind:hook took>1ms']],
  },
  {
    name: 'trace',
    title: 'A trace on one time axis',
    scope: 'trace',
    heading: /Trace [0-9a-f]{8}-/,
    steps: inTrace.slice(0, -1),
    opens: [['\r', opened(/Trace [0-9a-f]{8}-/)]],
  },
  {
    name: 'slowest',
    title: 'What made a trace slow',
    scope: 'trace',
    heading: /Trace [0-9a-f]{8}-/,
    steps: inTrace.slice(0, -1),
    opens: [['\rs', 'slowest first']],
  },
  {
    name: 'judge',
    title: 'Whether a turn went well',
    scope: 'judge',
    heading: 'Did this turn go well?',
    steps: inTrace,
    opens: [['w', /Nothing is known|not learned|good:|bad:/]],
  },
  {
    name: 'record',
    title: 'An event of a trace in full',
    scope: 'record',
    heading: /━ (?:hook|trace|call|routing) /,
    // The newest trace may have only begun.
    steps: [...inTrace, ['', /[├└]─ /]],
    fromSecondRow: true,
    opens: [['\r', /created_at +\d{4}-/]],
  },
  {
    name: 'search',
    title: 'A search in a trace',
    scope: 'prompt',
    heading: /Trace [0-9a-f]{8}-/,
    steps: inTrace,
    opens: [['/tool', '/tool█']],
  },
  {
    name: 'export',
    title: 'In which form rows are written to a file',
    scope: 'export',
    heading: 'Write to a file',
    steps: toPane('slow-hooks'),
    opens: [['e', 'Write to a file']],
  },
  {
    name: 'sql',
    title: 'The SQL behind a pane, with its plan',
    scope: 'record',
    heading: 'SQL of Slow hooks',
    steps: toPane('slow-hooks'),
    opens: [['Q', /statement +\S/]],
  },
  {
    name: 'log',
    title: 'The statements that the console has run',
    scope: 'list',
    heading: 'Statements that were run, newest first',
    opens: [['L', /statements?, .* together/]],
  },
  {
    name: 'alerts',
    title: 'The alerts that have fired',
    place: 'alerts',
    scope: 'list',
    heading: 'Alerts: what fired, and when',
    steps: [['', '! failures']],
    opens: [['!', /fired +failures/]],
  },
  {
    name: 'result',
    title: 'The result of an action',
    scope: 'done',
    heading: 'Analyze',
    steps: toPane('table-sizes'),
    opens: [
      ['u', '[ Cancel ]'],
      ['y', 'Enter: back'],
    ],
  },
  {
    name: 'running',
    title: 'A rebuild that waits for another session',
    scope: 'running',
    heading: 'Reindex ',
    steps: rebuilding,
    opens: [['y', /waits for pid \d+/]],
    lock: writing,
    ends: ['', 'Enter: back'],
    movesRows: true,
  },
  {
    name: 'quit',
    title: 'The question before an action is left',
    scope: 'quit',
    heading: 'Quit?',
    steps: rebuilding,
    opens: [
      ['y', /waits for pid \d+/],
      ['q', 'An action is running'],
    ],
    lock: writing,
    ends: ['\r', 'Enter: back'],
  },
  {
    name: 'waiting',
    title: 'What cannot be read, and who is in the way',
    scope: 'waiting',
    heading: 'Table ',
    steps: toPane('table-sizes'),
    opens: [['\r', opened('Table ')]],
    lock: 'LOCK TABLE pg_catalog.pg_attribute IN ACCESS EXCLUSIVE MODE',
  },
  {
    name: 'first-run',
    title: 'The first run where others have tables',
    place: 'firstRun',
    scope: 'schema',
    heading: 'Create the schema in ',
  },
  {
    name: 'other-tables',
    title: 'The first run where a table of the same name is something else',
    place: 'otherTables',
    scope: 'schema-read',
    heading: 'Nothing was created in ',
  },
  {
    name: 'replay',
    title: 'A recording that is played',
    place: 'replay',
    scope: 'panes',
    heading: '1 Recent traces',
  },
  {
    name: 'lost',
    title: 'A server that has gone away',
    place: 'lost',
    scope: 'panes',
    heading: '1 Recent traces',
  },
];

/** Every screen of the console: each is walked to by a test, and has its picture. */
export const screens: readonly Screen[] = [
  ...otherScreens,
  ...paneScreens,
  ...openedScreens,
  ...actionScreens,
];
