import type { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { LiveEngine } from '../../live/engine.js';
import { fileBeside } from '../../live/recording/file-beside.js';
import { Recorder } from '../../live/recording/recorder.js';
import type { ConnectionChoice } from '../connection-choice.js';
import type { ConsoleApp } from './console-app.js';
import type { ShowDatabase } from './connections.js';
import { checkSchema, firstRun, lacksTables, type SchemaNotice } from './schema-flow.js';
import { findUnfinished } from './unfinished-rebuilds.js';

/**
 * From an open connection over the schema to the panes.
 *
 * @param recordTo where to record what is shown; each further database gets a file beside it
 */
export function showDatabase(app: ConsoleApp, recordTo: string | undefined): ShowDatabase {
  let isFirst = true;
  return async (database, choice) => {
    app.attach(database, choice.badge);
    const lacking = lacksTables(database);
    const notice = lacking ? await askForSchema(app, database) : undefined;
    const { cadenceMs, windowMs, pastWritten } = choice;
    const engine = new LiveEngine(database, {
      ...(cadenceMs === undefined ? {} : { cadenceMs }),
      ...(windowMs === undefined ? {} : { windowMs }),
    });
    const recorder = recordTo === undefined ? undefined : record(app, recordTo, isFirst, choice);
    isFirst = false;
    app.go(database, engine, recorder);
    void pastWritten?.then(() => engine.schemaChanged());
    if (notice) tell(app, notice);
    if (!lacking) void checkLater(app, database);
  };
}

/** What goes wrong is told over the panes: there is a connection, and they say themselves what they lack. */
async function askForSchema(
  app: ConsoleApp,
  database: Database,
): Promise<SchemaNotice | undefined> {
  try {
    return await firstRun(database, {
      show: (stage) => app.showSchema(stage),
      answer: () => app.ask(),
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const hint = error instanceof ConsoleError && error.hint !== undefined ? ` ${error.hint}` : '';
    return { text: `The schema could not be looked at: ${message}${hint}`, important: true };
  }
}

/** @throws ConsoleError when the file that was asked for cannot be made; another one is only told of */
function record(
  app: ConsoleApp,
  file: string,
  isFirst: boolean,
  { name }: ConnectionChoice,
): Recorder | undefined {
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

/** The panes come first; what the catalogue lacks is looked for when they are drawn. */
async function checkLater(app: ConsoleApp, database: Database): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1_500).unref());
  // Whoever went on to another database meanwhile is not told of this one.
  const isLeft = () => app.database !== database;
  if (isLeft()) return;
  try {
    const notice = await checkSchema(database);
    if (isLeft()) return;
    if (notice) tell(app, notice);
  } catch (error) {
    app.log(`the schema could not be checked: ${String(error)}`);
  }
  try {
    const { running, leftovers } = await findUnfinished(database);
    // Whoever began one of his own meanwhile sees it in front of him.
    if (isLeft() || app.actions?.isRunning) return;
    if (leftovers !== undefined) app.say(app.keys.inText(leftovers), 'warning');
    if (running.length > 0) app.push({ kind: 'notice', title: 'Still running', lines: running });
  } catch (error) {
    app.log(`unfinished rebuilds could not be looked for: ${String(error)}`);
  }
}

function tell(app: ConsoleApp, { text, important }: SchemaNotice): void {
  if (important) app.push({ kind: 'notice', title: 'The schema', lines: [text] });
  else app.say(text, 'warning');
}
