import type { Database } from '../../db/database.js';
import { failureOf } from '../../db/errors.js';
import { offersDemo } from '../../demo/index.js';
import { LiveEngine } from '../../live/engine.js';
import type { Recorder } from '../../live/recording/recording.js';
import { importCommand } from '../../maintenance/import-sessions.js';
import { cleanUpCommand, findLeftovers } from '../../maintenance/reindex/leftovers.js';
import { findRunningBuilds, reindexCommand } from '../../maintenance/reindex/rebuild-lock.js';
import { formatAge, formatDuration, parseMoment } from '../../core/format/time.js';
import { withSeparators } from '../../core/format/number.js';
import { serverNowStatement, type ServerNowRow } from '../../panes/reading/windows.js';
import { colonTrace } from '../commands/lookup.js';
import { showMoment } from '../commands/moment.js';
import type { ConnectionChoice, Connections, DemoTraffic } from '../context.js';
import type { ConsoleApp } from './console-app.js';
import type { ConnectionBadge, ConnectionInfo } from '../draw/header.js';
import { failureText, unnamed } from '../strings.js';
import { NoticeView } from '../views/action.js';
import { closeSchema, showSchema, type SchemaStage } from '../views/schema.js';
import type { OpensAt } from './options.js';
import type { SchemaNotice } from './schema-flow.js';
import { nearestWord } from '../../core/nearest.js';
import { coreTables } from '../../core/tables.js';
import { ConnectingView } from '../views/waiting.js';
import { QuitView } from '../views/quit.js';

/**
 * Takes an open connection to the panes: checks the schema, starts reading, and shows what was asked for.
 *
 * @param recordTo where to record what is shown; each further database gets a file beside it
 */
export function showDatabase(
  app: ConsoleApp,
  recordTo: string | undefined,
  opensAt: OpensAt = {},
): ShowDatabase {
  let isFirst = true;
  return async (database, choice) => {
    app.attachment.attach(database, infoOf(database, choice.badge));
    const lacking = lacksTables(database);
    const notice = lacking ? await askForSchema(app, database) : undefined;
    const { cadenceMs, windowMs, budgetUsdPerDay, traffic } = choice;
    const following = traffic && followTraffic(app, traffic);
    const engine = new LiveEngine(database, {
      ...(cadenceMs === undefined ? {} : { cadenceMs }),
      ...(windowMs === undefined ? {} : { windowMs }),
      budgetUsdPerDay,
      watches: app.alerts.watches,
      isDemo: traffic !== undefined,
      ...(following ? { asksAfter: following.firstRows } : {}),
    });
    const recorder =
      recordTo === undefined ? undefined : await record(app, recordTo, isFirst, choice);
    const { pane, trace, at } = isFirst ? opensAt : {};
    isFirst = false;
    if (pane !== undefined) app.focus.goTo(pane);
    // What the empty panes say is looked for behind the rows of the others.
    const onRows = traffic ? undefined : () => void welcome(app, database);
    app.attachment.go(database, engine, recorder, onRows);
    if (at !== undefined) await showAt(app, database, at);
    if (trace !== undefined) colonTrace.run(app, trace);
    following?.tell(engine);
    if (notice) tell(app, notice);
    if (!lacking) void checkLater(app, database);
    void keepSizesHourly(app, database);
  };
}

/** Whether a table is missing, so that something must be done before there is anything to see. */
function lacksTables({ capabilities }: Database): boolean {
  return coreTables.some((table) => capabilities.tables[table] === undefined);
}

const hourMs = 3_600_000;
/** The demo writes its history backwards: each time it reaches back this far (ms), the panes count the past again. */
const wholeAt = [hourMs, 2 * hourMs, 24 * hourMs];
/** Shorter pauses are not mentioned. */
const shortPauseMs = 60_000;

/** A first start whose traffic does not come asks the panes all the same. */
const firstRowsMs = 3_000;

type Following = {
  /** The demo's first rows are there, of every kind: earlier the panes would be asked for nothing. */
  firstRows: Promise<void>;
  /** Who counts the past again when more of it is there. */
  tell(engine: LiveEngine): void;
};

/** Shows how much of the demo's history is written, and says when its traffic resumes after a pause. */
function followTraffic(app: ConsoleApp, traffic: DemoTraffic): Following {
  const startMs = Date.now();
  const pauseMs = traffic.pauseMs();
  let told: LiveEngine | undefined;
  let coveredMs = 0;
  let isAsked = false;
  let ask: () => void = () => undefined;
  const firstRows = new Promise<void>((resolve) => {
    ask = () => {
      isAsked = true;
      resolve();
    };
  });
  if (pauseMs === undefined) setTimeout(ask, firstRowsMs).unref();
  else ask();
  let isBegun = false;
  traffic.onFilling(({ filled, since }) => {
    const isWhole = filled >= 1;
    app.update({ filling: isWhole ? undefined : filled });
    const reachesMs = startMs - since;
    const isFirst = !isBegun && filled > 0;
    const isNews = isFirst || isWhole || wholeAt.some((ms) => coveredMs < ms && reachesMs >= ms);
    isBegun ||= isFirst;
    coveredMs = Math.max(coveredMs, reachesMs);
    if (isFirst && !isAsked) ask();
    else if (isNews) void told?.schemaChanged();
  });
  return {
    firstRows,
    tell(engine) {
      told = engine;
      if (pauseMs !== undefined && pauseMs > shortPauseMs) {
        app.say(`The demo goes on; nothing was written for ${formatAge(pauseMs)}`);
      }
    },
  };
}

/** The moment is read by the server's clock, since rows carry its times. */
async function showAt(app: ConsoleApp, database: Database, at: string): Promise<void> {
  const [row] = await database.read<ServerNowRow>(serverNowStatement, []);
  const moment = parseMoment(at, row?.now_ms ?? Date.now());
  if ('error' in moment) app.say(moment.error, 'warning');
  else showMoment(app, moment.untilMs);
}

/** What the header says of an open database. */
function infoOf(database: Database, connection: ConnectionBadge | undefined): ConnectionInfo {
  const { address, capabilities, origin, readOnly } = database;
  const { host, port } = address;
  const server = host.startsWith('/') ? `socket ${host}:${port}` : `${host}:${port}`;
  return {
    database: capabilities.database,
    host: capabilities.embedded ? 'this machine' : server,
    origin,
    user: capabilities.user,
    readOnly,
    connection,
  };
}

/** An embedded engine that has just begun may be too busy to answer. */
const welcomeAgainMs = 5_000;

/** On a database without traces: finds out which agent sessions this machine has and whether to offer the demo, for the empty pane to say. */
async function welcome(app: ConsoleApp, database: Database, tries = 5): Promise<void> {
  if (app.database !== database || database.readOnly || database.capabilities.standby) return;
  try {
    const isForExamples = await offersDemo(database);
    if (app.database === database) app.update({ offersDemo: isForExamples });
    const [first] = await database.read('SELECT 1 FROM execution_traces LIMIT 1', []);
    if (first) return;
    const { discover, lookedThrough } = await import('../../ingest/discover.js');
    const found = await discover();
    if (app.database !== database) return;
    if (found.length === 0) {
      if (!database.capabilities.embedded) return;
      app.update({
        welcome: `No session of an agent was found: ${lookedThrough()}. :${importCommand.id} looks again; trace-console import PATH reads other folders; trace-console --demo shows examples. Services send OpenTelemetry to trace-console collect --listen 127.0.0.1:4318.`,
      });
      return;
    }
    const programs = found.map(({ source, sessions, newestAt }, index) => {
      const age = formatAge(Date.now() - newestAt);
      const last = index === 0 ? `the last ${age} ago` : `${age} ago`;
      const several = sessions === 1 ? 'session' : 'sessions';
      return `${withSeparators(sessions)} ${source.title} ${several}, ${last}`;
    });
    app.update({
      welcome: `This machine has ${programs.join('; ')}. :${importCommand.id} brings them in, after a preview.`,
    });
  } catch (error) {
    app.log(`sessions of agents could not be looked for: ${String(error)}`);
    if (tries > 1) setTimeout(() => void welcome(app, database, tries - 1), welcomeAgainMs).unref();
  }
}

/** Applies the schema, or asks for it. A failure does not end the console: it is shown in front of the panes. */
async function askForSchema(
  app: ConsoleApp,
  database: Database,
): Promise<SchemaNotice | undefined> {
  let answer: ((isYes: boolean) => void) | undefined;
  const show = (stage: SchemaStage) =>
    showSchema(app, stage, (isYes) => {
      const resolve = answer;
      answer = undefined;
      resolve?.(isYes);
    });
  try {
    const { firstRun } = await import('./schema-flow.js');
    return await firstRun(database, {
      show,
      answer: () => new Promise((resolve) => (answer = resolve)),
    });
  } catch (error) {
    const text = `Could not inspect the schema: ${failureText(failureOf(error))}`;
    return { text, important: true };
  } finally {
    closeSchema(app);
  }
}

/** @throws ConsoleError when the first recording cannot be created; for a further database that is only reported */
async function record(
  app: ConsoleApp,
  file: string,
  isFirst: boolean,
  { name }: ConnectionChoice,
): Promise<Recorder | undefined> {
  // What checks recordings is loaded only where there is one.
  const { fileBeside, Recorder } = await import('../../live/recording/recording.js');
  const { database = '', host = '', user = '' } = app.model.place ?? {};
  const place = { database, host, user };
  if (isFirst) return new Recorder(file, place);
  try {
    const recorder = new Recorder(fileBeside(file, name), place);
    app.say(`Recording goes on in ${recorder.file}`);
    return recorder;
  } catch (error) {
    app.say(`Nothing is recorded any more: ${String(error)}`, 'error');
    return undefined;
  }
}

/** Once the panes are drawn: checks the schema for missing objects, and looks for unfinished rebuilds. */
async function checkLater(app: ConsoleApp, database: Database): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1_500).unref());
  // Nothing is said of a database that was left meanwhile.
  const isLeft = () => app.database !== database;
  if (isLeft()) return;
  try {
    const { checkSchema } = await import('./schema-flow.js');
    const notice = await checkSchema(database);
    if (isLeft()) return;
    if (notice) tell(app, notice);
  } catch (error) {
    app.log(`the schema could not be checked: ${String(error)}`);
  }
  try {
    const { running, leftovers } = await findUnfinished(database);
    // A user who has started an action meanwhile sees that one.
    if (isLeft() || app.actions?.isRunning) return;
    if (leftovers !== undefined) app.say(app.keys.inText(leftovers), 'warning');
    if (running.length > 0) app.push(new NoticeView('Still running', running));
  } catch (error) {
    app.log(`unfinished rebuilds could not be looked for: ${String(error)}`);
  }
}

/** Stores the table sizes hourly while the database is shown; growth is computed from them. */
async function keepSizesHourly(app: ConsoleApp, database: Database): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 3_000).unref());
  while (app.database === database) {
    try {
      const { keepSizes } = await import('../../deploy/kept-sizes.js');
      await keepSizes(database);
    } catch (error) {
      app.log(`the sizes could not be kept: ${String(error)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 3_600_000).unref());
  }
}

function tell(app: ConsoleApp, { text, important }: SchemaNotice): void {
  if (important) app.push(new NoticeView('The schema', [text]));
  else app.say(text, 'warning');
}

/** Rebuilds of earlier consoles that still run on the server, and leftovers of broken ones. */
type Unfinished = {
  /** Lines of a notice; empty: nothing runs. */
  running: string[];
  /** A line for the bottom of the screen. */
  leftovers: string | undefined;
};

/** Looked for once, at the start. */
async function findUnfinished(database: Database): Promise<Unfinished> {
  const { schema } = database.capabilities;
  const builds = await findRunningBuilds(database);
  const leftovers = await database.transaction({ readOnly: true }, (tx) =>
    findLeftovers(tx, schema),
  );
  const [first] = leftovers;
  const several = leftovers.length === 1 ? '' : ` and ${leftovers.length - 1} more`;
  return {
    running: builds.map(
      ({ index, building, pid, seconds }) =>
        `${index} is being rebuilt, for ${formatDuration(1000 * seconds)} (pid ${pid}). :${reindexCommand.id} on ${building} follows it.`,
    ),
    leftovers:
      first && `A broken rebuild has left ${first.name}${several}; :${cleanUpCommand.id} drops it`,
  };
}

/** Shows a database that was opened: from its schema to its panes. */
type ShowDatabase = (database: Database, choice: ConnectionChoice) => Promise<void>;

/**
 * The databases that the console can connect to, and the current one. The old connection is kept until the new one
 * answers, so that a failed attempt changes nothing.
 */
export class ConnectionSwitch implements Connections {
  readonly choices: readonly ConnectionChoice[];
  readonly #app: ConsoleApp;
  readonly #show: ShowDatabase;
  #current: ConnectionChoice;
  #attempt = 0;

  constructor(
    app: ConsoleApp,
    choices: readonly [ConnectionChoice, ...ConnectionChoice[]],
    show: ShowDatabase,
  ) {
    this.#app = app;
    this.choices = choices;
    [this.#current] = choices;
    this.#show = show;
  }

  get current(): ConnectionChoice {
    return this.#current;
  }

  /** The first database, at the start. */
  async begin(): Promise<void> {
    const { current } = this;
    this.#app.update({ isDemo: current.traffic !== undefined });
    const database = await current.open((line) => this.#app.update({ connecting: line }));
    await this.#show(database, current);
  }

  /** Goes to the database of a name, or says why not. */
  goTo(name: string): void {
    const app = this.#app;
    const choice = this.choices.find((each) => each.name === name);
    if (!choice) {
      const nearest = nearestWord(
        name,
        this.choices.map((each) => each.name),
      );
      const meant = nearest === undefined ? '' : `; did you mean ${nearest}?`;
      app.say(`There is no connection "${name}"${meant}`, 'warning');
    } else if (choice === this.#current) app.say(`This is ${name} already`);
    else if (app.actions?.isRunning) app.push(new QuitView(choice));
    else void this.connect(choice);
  }

  /** Shows a view while connecting; when that fails or is called off, the views behind it come back. */
  async connect(choice: ConnectionChoice): Promise<void> {
    const app = this.#app;
    const attempt = (this.#attempt += 1);
    const { views } = app.model;
    const kept = views.filter((each) => !each.endsWithConnection);
    let view = new ConnectingView(choice, kept.at(-1)?.nameOnReturn ?? this.nameOfCurrent);
    app.update({ views: [...kept, view] });
    const change = (changes: Partial<ConnectingView['state']>) => {
      if (attempt !== this.#attempt) return;
      const next = view.with(changes);
      app.replace(view, next);
      view = next;
    };
    let database: Database;
    try {
      database = await choice.open((progress) => change({ progress }));
    } catch (error) {
      change({ failure: failureOf(error) });
      return;
    }
    if (attempt !== this.#attempt) {
      await database.close();
      return;
    }
    app.attachment.detach();
    this.#current = choice;
    await this.#show(database, choice);
  }

  get nameOfCurrent(): string {
    const { name, badge } = this.#current;
    const isNamed = badge !== undefined || name !== unnamed;
    const { place } = this.#app.model;
    return isNamed || !place ? name : `${place.user}@${place.database}`;
  }

  callOff(): void {
    this.#attempt += 1;
  }
}
