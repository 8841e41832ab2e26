import { exitCodes, ConsoleError } from '../../db/errors.js';
import {
  loadRunning,
  openDatabase,
  openEmbeddedDatabase,
  resolveDataFolder,
} from '../../embedded/index.js';
import { defineCommand, type CommandContext, type FlagDeclarations } from '../command.js';
import fs from 'node:fs';
import os from 'node:os';
import { exportDatabase, copyRows } from '../../maintenance/embedded/copy-out.js';
import { resolveSource } from '../../db/connection/source.js';
import { spoolFolder } from '../../ingest/spool/append.js';
import { plainTable } from '../plain-table.js';
import { reportWidth, shellLines } from '../safe-text.js';
import { applySchema, planApply } from '../../deploy/apply.js';
import { placeOf } from '../../db/connection/command-flags.js';
import { describePlan, isUnasked } from '../../deploy/plan.js';

/**
 * The folder of the embedded database that flags or a named connection mean. A server that is only the usual one of the
 * config file, or of this shell, is not meant.
 *
 * @throws ConsoleError `usage` where a server is named
 */
function folderOf({ flags, settings }: CommandContext<FlagDeclarations>): string {
  const { connection } = settings;
  const isElsewhere = (connection?.url ?? connection?.envFile) !== undefined;
  const isOfShell = connection?.dataDir === undefined && resolveSource().kind === 'server';
  if (connection && flags.connection !== undefined && (isElsewhere || isOfShell)) {
    throw new ConsoleError('usage', `${connection.name} is a server, no embedded database.`, {
      hint: 'Leave the name out, or name one that has a data-dir in the config file.',
    });
  }
  return resolveDataFolder(flags.dataDir ?? connection?.dataDir);
}

export const embeddedStatusCommand = defineCommand({
  name: 'embedded status',
  summary: 'say whether the embedded database runs, and how psql and others connect',
  description: [
    'Exit code 1 when it does not run. It is started by whatever needs it. The URL is for services that write traces,',
    'and for any other client.',
  ].join('\n'),
  flags: {},
  examples: ['trace-console embedded status --json'],
  async run(context) {
    const { flags, print } = context;
    const folder = folderOf(context);
    const { embeddedStatus, socketFolderOf } = await loadRunning();
    const status = await embeddedStatus(folder);
    const host = socketFolderOf(folder);
    const connect =
      host === undefined ? undefined : `psql -h ${host} -p 5432 -U postgres -d postgres`;
    const url =
      host === undefined
        ? undefined
        : `postgresql://postgres@/postgres?host=${encodeURIComponent(host)}&port=5432`;
    const told = { folder, running: status ?? null, psql: connect ?? null, url: url ?? null };
    if (flags.json) print(JSON.stringify(told, null, 2));
    else if (status === undefined) print(`Not running (${folder}).`);
    else {
      print(
        `Running (${folder}): process ${status.pid}, version ${status.version}, ${status.phase}.`,
      );
      print(
        `Clients: ${status.clients}. Engine restarts since ${status.startedAt}: ${status.engineRestarts}.`,
      );
      if (status.exitsAt !== undefined) print(`Ends without a client at ${status.exitsAt}.`);
      if (connect !== undefined) {
        for (const line of shellLines(`Connect: ${connect}`, reportWidth() ?? Infinity))
          print(line);
      }
      if (url !== undefined) print(`URL: ${url}`);
    }
    return status === undefined ? exitCodes.notGood : exitCodes.good;
  },
});

export const embeddedStopCommand = defineCommand({
  name: 'embedded stop',
  summary: 'stop the embedded database; its data stays',
  description: [
    'The collector that writes to it is ended first. Consoles that use it lose their connection and start it',
    'again when they ask next; so does the next event of a hook.',
    '',
    'With --json: {"folder", "stopped", "collector": its process or null, "clients"}.',
  ].join('\n'),
  flags: {},
  async run(context) {
    const { flags, print } = context;
    const folder = folderOf(context);
    const [{ embeddedStatus, socketFolderFor, stopEmbedded }, { endCollectorOf }] =
      await Promise.all([loadRunning(), import('../../ingest/collector/status-file.js')]);
    const collector = await endCollectorOf(spoolFolder(process.env, os.homedir), () =>
      socketFolderFor(folder),
    );
    // One that does not answer is stopped all the same.
    const status = await embeddedStatus(folder).catch(() => undefined);
    const stopped = await stopEmbedded(folder);
    const clients = status?.clients ?? 0;
    if (flags.json) {
      print(JSON.stringify({ folder, stopped, collector: collector ?? null, clients }, null, 2));
      return exitCodes.good;
    }
    if (collector !== undefined) {
      print(`Ended its collector (process ${collector}); the next event of a hook starts one.`);
    }
    print(stopped ? `Stopped (${folder}).` : `It was not running (${folder}).`);
    if (stopped && clients > 0) {
      print(`Connections that were open: ${clients}. A console that stays open starts it again.`);
    }
    return exitCodes.good;
  },
});

export const embeddedExportCommand = defineCommand({
  name: 'embedded export',
  summary: 'write the embedded database to a file of SQL',
  usage: 'FILE',
  inputs: 1,
  description: [
    'Schema and rows, archives too, as one state; run it with "psql -f FILE" on an empty database.',
    'Other clients of the embedded database wait meanwhile. An existing file is not overwritten.',
  ].join('\n'),
  flags: {},
  examples: ['trace-console embedded export traces.sql'],
  async run(context) {
    const { flags, input, print, note } = context;
    const file = input[0];
    if (file === undefined) throw new ConsoleError('usage', 'embedded export needs a FILE.');
    const output = await openNew(file);
    const dataDir = folderOf(context);
    const database = await openEmbeddedDatabase({ ...flags, dataDir, onProgress: note });
    try {
      const tables = await exportDatabase(database, async (text) => {
        await output.write(text);
      });
      await output.sync();
      if (flags.json) print(JSON.stringify({ file, tables }, null, 2));
      else print(rowsTable(tables));
      return exitCodes.good;
    } catch (error) {
      fs.rmSync(file, { force: true });
      throw error;
    } finally {
      await output.close();
      await database.close();
    }
  },
});

function rowsTable(tables: readonly { table: string; rows: number }[]): string {
  const rows = tables.map(({ table, rows: count }) => [table, count]);
  return plainTable(['Table', 'Rows'], rows, { right: [1] });
}

async function openNew(file: string): Promise<fs.promises.FileHandle> {
  try {
    // Prompts are private: the file is its owner's alone.
    return await fs.promises.open(file, 'wx', 0o600);
  } catch (cause) {
    const exists = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    const message = exists
      ? `${file} exists already.`
      : `Cannot write ${file}: ${(cause as Error).message}`;
    throw new ConsoleError('usage', message, { cause });
  }
}

export const embeddedImportToCommand = defineCommand({
  name: 'embedded import-to',
  summary: 'copy the embedded database to a server',
  usage: 'URL [--yes]',
  inputs: 1,
  description: [
    'Applies the schema there, copies every row, archives too, and compares the counts; the copy is',
    'kept only when all are equal. The tables there must be empty. The embedded database stays as',
    'it is; its other clients wait meanwhile.',
  ].join('\n'),
  flags: { yes: { type: 'boolean', description: 'do not ask' } },
  examples: ['trace-console embedded import-to postgresql://me@host/traces'],
  async run(context) {
    const { flags, input, print, note, interactive, ask } = context;
    const url = input[0] ?? flags.url;
    if (url === undefined) throw new ConsoleError('usage', 'embedded import-to needs a URL.');
    const { schema, readOnly } = flags;
    if (readOnly)
      throw new ConsoleError('read_only', 'import-to changes the server; --read-only forbids it.');
    const dataDir = folderOf(context);
    const source = await openEmbeddedDatabase({ dataDir, onProgress: note });
    const target = await openDatabase({ url, schema }).catch(async (error: unknown) => {
      await source.close();
      throw error;
    });
    try {
      const plan = await planApply(target);
      for (const line of describePlan(plan, target, false)) note(line);
      if (!flags.yes && !isUnasked(plan, target, false)) {
        if (!interactive || flags.json) {
          throw new ConsoleError(
            'confirmation_needed',
            `Nothing was changed in ${placeOf(target)}.`,
            {
              hint: 'To copy there: trace-console embedded import-to URL --yes',
            },
          );
        }
        const answer = await ask(`Copy to ${placeOf(target)}? Type "yes": `);
        if (answer.trim().toLowerCase() !== 'yes') return exitCodes.refused;
      }
      await applySchema(target, { onProgress: ({ name, outcome }) => note(`${name}: ${outcome}`) });
      const tables = await copyRows(source, target);
      if (flags.json) print(JSON.stringify({ ok: true, tables }, null, 2));
      else print(rowsTable(tables));
      return exitCodes.good;
    } finally {
      await Promise.all([source.close(), target.close()]);
    }
  },
});
