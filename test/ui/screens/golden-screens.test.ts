import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { showTimesIn } from '../../../src/core/format/time.js';
import { resolveSource } from '../../../src/db/connection/source.js';
import { Database } from '../../../src/db/database.js';
import { ConsoleError } from '../../../src/db/errors.js';
import { LiveEngine } from '../../../src/live/engine.js';
import { Player } from '../../../src/live/recording/player.js';
import { Recorder, Recording } from '../../../src/live/recording/recording.js';
import type { ConnectionState } from '../../../src/live/state.js';
import { panes } from '../../../src/panes/registry.js';
import type { ConsoleApp } from '../../../src/ui/app/console-app.js';
import { ConnectionsView } from '../../../src/ui/views/connections.js';
import { FleetView } from '../../../src/ui/views/fleet.js';
import { SchemaView } from '../../../src/ui/views/schema.js';
import { QuitView } from '../../../src/ui/views/quit.js';
import { ConnectingView, WaitingView } from '../../../src/ui/views/waiting.js';
import { Fleet } from '../../../src/live/fleet.js';
import type { ConnectionChoice, View } from '../../../src/ui/context.js';
import type { AlertSettings } from '../../../src/live/alerts/alert-watch.js';
import { leastSize } from '../../../src/ui/layout/layout.js';
import { fillAt } from '../../e2e/helpers/fixed-rows.js';
import { problemsOf } from '../../e2e/helpers/screen-problems.js';
import { walkTo } from '../../e2e/helpers/screen-walk.js';
import { screens, type Screen } from '../../e2e/helpers/screens.js';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.js';
import { AppScreen } from './app-screen.js';
import { FixedSource } from './fixed-source.js';
import { pressEach } from './press-each.js';

/**
 * Every screen as text, so that a changed one is a diff. After a change that is meant:
 *
 *     UPDATE_SCREENS=1 npx vitest run test/ui/screens     draws them anew
 *     UPDATE_SCREENS=rows npx vitest run test/ui/screens  reads the panes anew, too: they have other columns
 */
const update = process.env.UPDATE_SCREENS;
const goldenFolder = path.join(import.meta.dirname, 'golden');
/** What all panes showed at one moment. */
const recordingFile = path.join(import.meta.dirname, 'recording.jsonl');

const place = { database: 'traces', host: 'localhost:5432', user: 'somebody' };
const usual = { cols: 120, rows: 35 };
const least = { cols: leastSize.columns, rows: leastSize.rows };
/** The usual one last: the way back is gone in it. */
const sizes = [{ cols: 200, rows: 60 }, { cols: 80, rows: 24 }, least, usual];

/** What the server counts or has estimated, a time or a process is in these, or what is due today: they are looked at, not compared. */
const changing = new Set([
  ...['opened-index-usage', 'opened-table-sizes', 'opened-postgresql', 'log'],
  ...['archive-traces', 'prune', 'result', 'opened-top-patterns'],
  ...['reindex', 'reindex-vectors', 'analyze', 'vacuum'],
]);
/** Sizes of files and settings of the server are in these: compared on the version that they were drawn on. */
const ofServer = new Set(['clean-up']);
const drawnOn = '17';

// In a terminal only (test/e2e/console-screens.test.ts): a first run is on a database of its own, the SQL of a pane is
// what an engine has asked, and some wait for a lock that another session holds.
const drawn = screens.filter(
  ({ place: where, name, lock }) =>
    where !== 'firstRun' && where !== 'otherTables' && name !== 'sql' && lock === undefined,
);

let database: TestDatabase;
let isOtherServer = false;

beforeAll(async () => {
  showTimesIn('utc');
  vi.stubEnv('TRACE_CONSOLE_EXPORT_FOLDER', '/home/somebody');
  database = await createTestDatabase();
  const now =
    update === 'rows' ? new Date() : new Date(Recording.open(recordingFile).header.startedAt);
  await fillAt(database, now);
  if (update === 'rows') await record(now);
  const { rows } = await database.query<{ version: string }>(
    `SELECT current_setting('server_version') AS version`,
  );
  isOtherServer = rows[0]?.version.split('.')[0] !== drawnOn;
});

afterAll(() => {
  showTimesIn('local');
  vi.unstubAllEnvs();
});

it('there is a drawn screen for each of the list, and no other', () => {
  const names = drawn.map(({ name }) => name).filter((name) => !changing.has(name));
  if (update !== undefined) return;
  expect(fs.readdirSync(goldenFolder).sort()).toEqual(names.map((name) => `${name}.txt`).sort());
});

it.each(drawn)(
  '$name looks as it was drawn, and Escape leads back to the same row',
  async (screen) => {
    const app = await open(screen);
    try {
      const way = await walkTo(app, screen, database.url);
      await compare(app, screen);
      expectOnlyDrawn(app.app);
      if (screen.opens) expect(await way.leave()).toBe(way.rowBefore);
    } finally {
      await app.close();
    }
  },
);

it('the question whether a turn went well keeps the answer, and shows it the next time', async () => {
  const screen = drawn.find(({ name }) => name === 'judge');
  if (!screen) throw new Error('the list of screens has no such one');
  const app = await open(screen);
  try {
    const said = async () => {
      const { rows } = await database.query<{ said: string }>(
        `SELECT is_good::text AS said FROM trace_console.trace_feedback AS f
         JOIN execution_traces AS t USING (correlation_id) WHERE t.root_id = t.correlation_id`,
      );
      return rows.map((row) => row.said);
    };
    await walkTo(app, screen, database.url);
    expect(app.text()).toMatch(/y: yes, it went well[^]*n: no, it went badly/);
    app.press('n');
    await app.waitFor('Kept: this turn was bad');
    expect(await said()).toEqual(['false']);
    app.press('w');
    await app.waitFor('said bad just now');
    app.press('y');
    await app.waitFor('Kept: this turn was good');
    expect(await said()).toEqual(['true']);
  } finally {
    await app.close();
    await database.query('DELETE FROM trace_console.trace_feedback');
  }
});

/** Where every key is pressed: a screen of each kind. */
const walked = drawn.filter(({ name }) =>
  [
    ...['overview', 'replay', 'lost', 'panes', 'help', 'commands', 'filter', 'search', 'export'],
    ...['trace', 'slowest', 'record', 'log', 'alerts', 'result', 'analyze', 'purge'],
    ...['pane-activity', 'pane-archive', 'opened-recent-traces', 'opened-sessions'],
  ].includes(name),
);

it.each(walked)('$name: each of its keys does something, or says why not', async (screen) => {
  await pressEach(async () => {
    const app = await open(screen);
    await walkTo(app, screen, database.url);
    return app;
  });
});

it('a running action: each of its keys does something, or says why not', async () => {
  const screen = screens.find(({ name }) => name === 'running');
  if (!screen) throw new Error('the list of screens has no such one');
  await pressEach(async () => {
    const app = await open(screen);
    const way = await walkTo(app, screen, database.url);
    const close = app.close.bind(app);
    // Another begins when this one has ended, and cleaned up.
    app.close = async () => {
      await way.release();
      await close();
    };
    return app;
  });
});

/** Views that these screens do not lead to: other databases, a schema that is not there, a server that does not answer. */
const elsewhere: readonly { name: string; view: (answer: () => void) => View }[] = [
  { name: 'connections', view: () => new ConnectionsView(0) },
  { name: 'fleet', view: () => new FleetView(new Fleet(choices, []), undefined) },
  { name: 'connecting', view: () => new ConnectingView(other, 'Escape: back') },
  { name: 'quit', view: () => new QuitView() },
  { name: 'waiting', view: () => new WaitingView(notRead, { message: 'no', hint: undefined }) },
  ...(['ask', 'applying', 'failed', 'incompatible'] as const).map((phase) => ({
    name: `schema: ${phase}`,
    view(answer: () => void) {
      const stage = { phase, title: 'Create the schema', lines: ['a line'], steps: [], total: 1 };
      return new SchemaView(stage, answer);
    },
  })),
];

it.each(elsewhere)('$name: each of its keys does something, or says why not', async ({ view }) => {
  await pressEach(async () => {
    const app = await open({ name: 'overview', title: '', scope: 'panes', heading: '' });
    const asked = () => (app.ends += 1);
    app.app.connections = {
      ...{ choices, current, nameOfCurrent: 'here', goTo: asked, callOff: asked },
      connect: () => Promise.resolve(void asked()),
    };
    app.app.push(view(asked));
    return app;
  });
});

/** A database that is there, and one that nobody connects to. */
const choiceOf = (name: string): ConnectionChoice => ({
  ...{
    name,
    description: name,
    badge: { name, colour: 'green', production: false },
    readOnly: false,
  },
  ...{ cadenceMs: undefined, windowMs: undefined },
  open: () => Promise.reject(new Error('not in this test')),
});
const current = choiceOf('here');
const other = choiceOf('there');
const choices = [current, other];

const notRead = {
  id: 1,
  opening: { title: 'A row', read: () => Promise.reject(new Error('not in this test')) },
};

async function compare(app: AppScreen, screen: Screen): Promise<void> {
  const file = path.join(goldenFolder, `${screen.name}.txt`);
  const isLookedAt = changing.has(screen.name) || (ofServer.has(screen.name) && isOtherServer);
  const golden =
    isLookedAt || update !== undefined
      ? new Map<string, string>()
      : partsOf(fs.readFileSync(file, 'utf8'));
  const parts: string[] = [];
  for (const size of sizes) {
    const title = `${size.cols}×${size.rows}`;
    app.resize(size.cols, size.rows);
    const expected = golden.get(title);
    const isThere = () =>
      expected === undefined
        ? app.screen().length === size.rows && problems(app, screen, size).length === 0
        : app.text() === expected;
    await app.waitFor(isThere, 5_000).catch(() => undefined);
    if (update !== undefined) await settled(app);
    expect(problems(app, screen, size), app.text()).toEqual([]);
    parts.push(`${heading}${title}\n${app.text()}\n`);
    if (update === undefined && !isLookedAt) expect(app.text(), file).toBe(expected);
  }
  if (update === undefined || changing.has(screen.name)) return;
  fs.mkdirSync(goldenFolder, { recursive: true });
  fs.writeFileSync(file, parts.join(''));
}

/** Drawing changes nothing, neither in the model nor in a view: done again, it gives the same. */
function expectOnlyDrawn(app: ConsoleApp): void {
  const { model } = app;
  const fields = () => model.views.map((view) => ({ ...view }));
  const draw = () => model.views.map((view) => view.draw?.(app));
  const before = fields();
  const first = draw();
  expect(draw()).toEqual(first);
  expect(fields()).toEqual(before);
  expect(app.model).toBe(model);
}

/** What is wrong with a screen that no drawn one is there for; in the smallest nothing is whole. */
function problems(app: AppScreen, screen: Screen, size: (typeof sizes)[number]): string[] {
  return size === least ? [] : problemsOf(app, screen, size);
}

const heading = '════ ';

/** The texts of a drawn screen by their sizes. */
function partsOf(text: string): Map<string, string> {
  return new Map(
    text.split(heading).map((part) => {
      const [size = '', ...lines] = part.replace(/\n$/, '').split('\n');
      return [size, lines.join('\n')];
    }),
  );
}

async function settled(app: AppScreen): Promise<void> {
  for (let before = ''; before !== app.text();) {
    before = app.text();
    await sleep(250);
  }
}

function connect(): Promise<Database> {
  const source = resolveSource({ url: database.url, environment: {} });
  if (source.kind === 'embedded') throw new Error('a URL names a server');
  return Database.open(source);
}

/** Reads every pane once, and keeps what they show. */
async function record(now: Date): Promise<void> {
  fs.rmSync(recordingFile, { force: true });
  const connection = await connect();
  const engine = new LiveEngine(connection);
  engine.start();
  engine.setVisible(panes.map(({ id }) => id));
  const isRead = () => {
    const { vitals, panes: read } = engine.getState();
    const areRead = Object.values(read).every(({ asOf, loading }) => asOf && !loading);
    return typeof vitals?.transactionsPerSecond === 'number' && areRead;
  };
  while (!isRead()) await sleep(50);
  const recorder = new Recorder(recordingFile, place);
  recorder.follow(engine);
  recorder.close();
  // The rows are made again as seen from the moment at which they were made.
  const [header = '', ...frames] = fs.readFileSync(recordingFile, 'utf8').split('\n');
  const dated = { ...(JSON.parse(header) as object), startedAt: now.toISOString() };
  fs.writeFileSync(recordingFile, [JSON.stringify(dated), ...frames].join('\n'));
  await engine.stop();
  await connection.close();
}

const alerts: AlertSettings = {
  rules: [{ name: 'failures', pane: 'recent-traces', when: 'status:failed share>1%' }],
  bell: false,
  desktop: false,
};

const lostSince = (nowMs: number): ConnectionState => ({
  state: 'reconnecting',
  sinceMs: nowMs - 12_000,
  attempts: 3,
  nextAttemptMs: nowMs + 4_000,
  error: new ConsoleError('connection_lost', 'The connection was lost.'),
});

/** These are opened from a list of a window, which must end when the rows were made, not today. */
const throughList = new Set(['trace', 'slowest', 'record', 'search', 'judge']);

async function open({ place: where = 'database', name }: Screen): Promise<AppScreen> {
  const screen = await AppScreen.open(usual, where === 'alerts' ? { alerts } : {});
  const { app } = screen;
  app.update({ utc: true });
  const info = { ...place, origin: '--url', readOnly: false, connection: undefined };
  if (where === 'replay') {
    app.attachment.play(new Player(Recording.open(recordingFile)), {
      ...info,
      origin: 'recording',
    });
  } else {
    const connection = await connect();
    app.attachment.attach(connection, info);
    const source = new FixedSource(recordingFile, (nowMs) =>
      where === 'lost' ? { connection: lostSince(nowMs) } : {},
    );
    app.attachment.go(connection, source);
    if (name.startsWith('opened-') || throughList.has(name)) {
      source.setUntil(source.clock.wallNow());
    }
  }
  await screen.waitFor('6 Activity');
  return screen;
}
