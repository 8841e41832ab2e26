import fs from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import {
  scopes,
  type Agent,
  type HookCommand,
  type Scope,
  type Surroundings,
  hookCommand,
  type SettingsAgent,
} from './agent.js';
import {
  installedHooks,
  addHooks,
  addTable,
  addTelemetry,
  changedParts,
  endpointIn,
  hasTelemetry,
  removeHooks,
  removeTable,
  removeTelemetry,
  usualAddress,
} from './merge.js';
import { pluginMark } from './opencode.js';
import { readSettingsFile, replaceSettingsFile, type SettingsFile } from './settings-file.js';
import { createHash } from 'node:crypto';
import { createFolder } from '../../core/create-folder.js';
import path from 'node:path';
import { readTextFile } from '../../core/folders.js';
import { ConsoleError } from '../../db/errors.js';
import { stateFolder } from '../spool/append.js';

type Backup = {
  /** The file's text before the first installation; undefined: there was none. */
  original?: string;
  installed: string;
};

/** A planned change of one CLI's settings. */
export type HookChange = {
  agent: Agent;
  /** As the CLI finds it. */
  path: string;
  file: SettingsFile;
  /** Undefined: the file goes. */
  after: string | undefined;
  /** Kept for the removal, so that it gives back exactly what was there; undefined: nothing is kept any more. */
  backup: Backup | undefined;
};

export const isChange = ({ file, after }: HookChange): boolean => file.text !== after;

/** What becomes of the file. */
export function kindOf(change: HookChange): string {
  if (!isChange(change)) return 'nothing to change';
  if (change.file.text === undefined) return 'new file';
  return change.after === undefined ? 'the file is removed' : 'changed';
}

/** `/home/me/.claude/settings.json (changed): 32 hooks, 5 telemetry settings`. */
export function summaryOf(change: HookChange): string {
  const parts = partsOf(change);
  return `${change.path} (${kindOf(change)})${parts.length > 0 ? `: ${parts.join(', ')}` : ''}`;
}

function partsOf({ agent, path: at, file, after = '' }: HookChange): string[] {
  if (agent.kind === 'plugin') return ['1 plugin'];
  if (at.endsWith('.toml')) return [`telemetry by [${agent.telemetryFile?.table ?? ''}]`];
  return changedParts(agent, [file.text ?? '', after], at);
}

/** Where the settings of a CLI lie. @throws ConsoleError `usage` */
export function settingsPath(agent: Agent, scope: Scope, surroundings: Surroundings): string {
  const file = agent.file(scope, surroundings);
  if (file !== undefined) return file;
  throw new ConsoleError('usage', `${agent.title} has no settings of the scope "${scope}".`, {
    hint: 'Take --scope user or --scope project.',
  });
}

/**
 * @param command starts the hook; the CLI's name is added to its arguments
 * @param hookProgram the path of hook.cjs, for CLIs that load it
 * @param telemetry where the collector takes it, such as `http://127.0.0.1:4318`; undefined: it is not asked for
 * @throws ConsoleError
 */
export function planInstall(
  agent: Agent,
  scope: Scope,
  surroundings: Surroundings,
  {
    command,
    hookProgram,
    telemetry,
  }: { command: HookCommand; hookProgram: string; telemetry?: string | undefined },
): HookChange {
  if (command.url !== undefined && !(agent.kind === 'settings' && agent.canPost)) {
    throw new ConsoleError('usage', `The hooks of ${agent.title} cannot post events.`, {
      hint: 'Name the CLI that can: hooks install claude --http.',
    });
  }
  const at = settingsPath(agent, scope, surroundings);
  const file = readSettingsFile(at);
  if (agent.kind === 'plugin') {
    refuseForeignPlugin(file, at);
    return { agent, path: at, file, after: agent.source(hookProgram), backup: undefined };
  }
  const words = { ...command, args: [...command.args, agent.id] };
  const withHooks = addHooks(file.text, agent, words, at);
  const kept = readBackup(file, surroundings);
  const installed =
    telemetry === undefined
      ? withHooks
      : addTelemetry(withHooks, agent, { url: telemetry, former: addressOf(kept, agent, at) }, at);
  // As kept, unless somebody has changed the file since.
  const original =
    kept?.installed === file.text ? kept?.original : withoutOurs(file.text, agent, at, kept);
  const backup = { installed, ...(original === undefined ? {} : { original }) };
  return { agent, path: at, file, after: installed, backup };
}

/** @param url where the collector takes telemetry by the config file */
function withoutOurs(
  text: string | undefined,
  agent: SettingsAgent,
  at: string,
  kept: Backup | undefined,
  url?: string,
): string | undefined {
  if (text === undefined) return undefined;
  const former = kept?.original;
  const after = removeHooks(text, at, { base: agent.base, text: former });
  if (agent.telemetry === undefined) return after;
  const urls = [...addresses(kept, agent, at), url];
  return removeTelemetry(after, agent.telemetry, { urls, former }, at);
}

/** Where an earlier installation has a CLI send its telemetry; undefined: nowhere, or that was not ours. */
function addressOf(kept: Backup | undefined, agent: SettingsAgent, at: string): string | undefined {
  if (kept === undefined || agent.telemetry === undefined) return undefined;
  const [installed, original] = [kept.installed, kept.original ?? ''].map(
    (text) => agent.telemetry && endpointIn(text, agent.telemetry, at),
  );
  return typeof installed === 'string' && installed !== original ? installed : undefined;
}

const addresses = (kept: Backup | undefined, agent: SettingsAgent, at: string) => [
  `http://${usualAddress}`,
  addressOf(kept, agent, at),
];

/**
 * The change of the file in which a CLI keeps its telemetry beside its hooks; none where it has no such file, or nothing
 * of it is ours.
 *
 * @param url where the collector takes it; undefined: it is taken out
 * @throws ConsoleError
 */
export function planTelemetryFile(
  agent: Agent,
  surroundings: Surroundings,
  url: string | undefined,
): HookChange[] {
  if (agent.kind !== 'settings' || agent.telemetryFile === undefined) return [];
  const { path: pathOf, table, lines } = agent.telemetryFile;
  const at = pathOf(surroundings);
  const file = readSettingsFile(at);
  const { text } = file;
  const kept = readBackup(file, surroundings);
  if (url === undefined) {
    if (text === undefined || removeTable(text) === text) return [];
    const without = kept?.installed === text ? kept.original : removeTable(text);
    const isEmpty = without?.trim() === '' && kept?.original === undefined;
    return [{ agent, path: at, file, after: isEmpty ? undefined : without, backup: undefined }];
  }
  const installed = addTable(text ?? '', table, lines(url), at);
  const original =
    kept?.installed === text ? kept?.original : text === undefined ? undefined : removeTable(text);
  const backup = { installed, ...(original === undefined ? {} : { original }) };
  return [{ agent, path: at, file, after: installed, backup }];
}

/**
 * @param url where the collector takes telemetry by the config file
 * @throws ConsoleError
 */
export function planRemove(
  agent: Agent,
  scope: Scope,
  surroundings: Surroundings,
  url?: string,
): HookChange {
  const at = settingsPath(agent, scope, surroundings);
  const file = readSettingsFile(at);
  return {
    agent,
    path: at,
    file,
    after: afterRemoval(agent, at, file, surroundings, url),
    backup: undefined,
  };
}

function afterRemoval(
  agent: Agent,
  at: string,
  file: SettingsFile,
  surroundings: Surroundings,
  url: string | undefined,
): string | undefined {
  if (file.text === undefined) return undefined;
  if (agent.kind === 'plugin') {
    refuseForeignPlugin(file, at);
    return undefined;
  }
  const kept = readBackup(file, surroundings);
  if (kept?.installed === file.text) return kept.original;
  const after = withoutOurs(file.text, agent, at, kept, url) ?? '';
  const wasOurs = kept !== undefined && kept.original === undefined;
  return wasOurs && isBase(after, agent.base) ? undefined : after;
}

/** Whether nothing is left but what a new file began with. */
function isBase(text: string, base: Readonly<Record<string, unknown>>): boolean {
  try {
    return JSON.stringify(JSON.parse(text)) === JSON.stringify(base);
  } catch {
    return false;
  }
}

/** @throws ConsoleError */
export function applyChange({ file, after, backup }: HookChange, surroundings: Surroundings): void {
  const kept = backupFile(file, surroundings);
  if (backup !== undefined) {
    // First, so that a crash in between loses nothing. It holds the settings whole, which may hold secrets.
    createFolder(path.dirname(kept));
    fs.writeFileSync(kept, JSON.stringify({ file: file.real, ...backup }), { mode: 0o600 });
  }
  replaceSettingsFile(file, after);
  if (backup === undefined) fs.rmSync(kept, { force: true });
}

function refuseForeignPlugin({ text }: SettingsFile, file: string): void {
  if (text === undefined || text.startsWith(pluginMark)) return;
  throw new ConsoleError('file_failed', `${file} was not written by trace-console.`, {
    hint: 'Nothing was changed. Move it away first.',
  });
}

function backupFile({ real }: SettingsFile, { environment, home }: Surroundings): string {
  const name = createHash('sha256').update(real).digest('hex').slice(0, 16);
  return path.join(
    stateFolder(environment, () => home),
    'hooks',
    `${name}.json`,
  );
}

function readBackup(file: SettingsFile, surroundings: Surroundings): Backup | undefined {
  try {
    return JSON.parse(readTextFile(backupFile(file, surroundings))) as Backup;
  } catch {
    return undefined;
  }
}

/** The hooks of one CLI in one scope. */
export type Installation = {
  agent: Agent;
  scope: Scope;
  file: string;
  /** Events that have the hook, of `outOf` that should. */
  events: number;
  outOf: number;
  /** What is wrong with it, in words. */
  problems: string[];
  /** Whether it sends telemetry to the collector; undefined: its settings cannot say so. */
  telemetry?: boolean | undefined;
};

/** The installations there are. A file that cannot be read is one with a problem. */
export function findInstallations(
  agent: Agent,
  surroundings: Surroundings,
  hookProgram: string,
): Installation[] {
  const seen = new Set<string>();
  return scopes.flatMap((scope) => {
    const file = agent.file(scope, surroundings);
    // In the home folder the user's file is the project's, too.
    if (file === undefined || seen.has(file)) return [];
    seen.add(file);
    const found = { agent, scope, file };
    try {
      const settings = readSettingsFile(file);
      const { text } = settings;
      if (text === undefined) return [];
      return agent.kind === 'plugin'
        ? pluginIn(text, agent.source(hookProgram), found)
        : hooksIn(text, found, hookProgram).map((each) => ({
            ...each,
            telemetry: sendsTelemetry(agent, settings, { scope, file, surroundings }),
          }));
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      return [{ ...found, events: 0, outOf: 0, problems: [problem] }];
    }
  });
}

type Found = Pick<Installation, 'agent' | 'scope' | 'file'>;

function sendsTelemetry(
  agent: SettingsAgent,
  settings: SettingsFile,
  { scope, file, surroundings }: Pick<Found, 'scope' | 'file'> & { surroundings: Surroundings },
): boolean | undefined {
  if (agent.telemetryFile !== undefined) {
    // It is the user's, whatever the scope of the hooks.
    if (scope !== 'user') return undefined;
    const table = readSettingsFile(agent.telemetryFile.path(surroundings)).text ?? '';
    return removeTable(table) !== table;
  }
  const { telemetry } = agent;
  const urls = addresses(readBackup(settings, surroundings), agent, file);
  return telemetry && hasTelemetry(settings.text ?? '', telemetry, urls, file);
}

function pluginIn(text: string, source: string, found: Found): Installation[] {
  if (!text.startsWith(pluginMark)) return [];
  const problems = text === source ? [] : ['it is of another version or place: install it again'];
  return [{ ...found, events: 1, outOf: 1, problems }];
}

function hooksIn(text: string, found: Found, hookProgram: string): Installation[] {
  const { agent, scope, file } = found;
  if (agent.kind !== 'settings') return [];
  const installed = installedHooks(text, file);
  if (installed.size === 0) return [];
  const wanted: HookCommand = currentCommand(scope, hookProgram, agent.id);
  const problems: string[] = [];
  const differing = agent.events.filter((event) => {
    const there = installed.get(event);
    const url = postsTo(there);
    const entry = agent.entry(event, { ...wanted, url });
    return there !== undefined && !isDeepStrictEqual(there, handlerOf(entry));
  });
  if (differing.length > 0) problems.push('it starts another program: install it again');
  const missing = agent.events.filter((event) => !installed.has(event));
  if (missing.length > 0) problems.push(`${missing.length} events are missing: install it again`);
  for (const program of programsNamed([...installed.values()])) {
    if (!fs.existsSync(program)) problems.push(`${program} is missing: install it again`);
  }
  return [{ ...found, events: installed.size, outOf: agent.events.length, problems }];
}

function currentCommand(scope: Scope, hookProgram: string, id: string): HookCommand {
  const { program, args } = hookCommand(scope, hookProgram);
  return { program, args: [...args, id] };
}

/** The handler within an entry, or the entry itself where a CLI has no groups. */
function handlerOf(entry: Readonly<Record<string, unknown>>): unknown {
  const { hooks } = entry;
  return Array.isArray(hooks) ? hooks[0] : entry;
}

function postsTo(handler: unknown): string | undefined {
  const { url } = (handler ?? {}) as { url?: unknown };
  return typeof url === 'string' ? url : undefined;
}

/** The paths of hook.cjs that handlers name. */
function programsNamed(handlers: readonly unknown[]): Set<string> {
  const words = handlers.flatMap((handler) =>
    Object.values(handler as object)
      .flat()
      .flatMap((value: unknown) => (typeof value === 'string' ? wordsOf(value) : [])),
  );
  return new Set(words.filter((word) => word.endsWith('hook.cjs')));
}

/** A path is one word, whatever is in it; a line of a shell is several. */
const wordsOf = (text: string): string[] =>
  text.endsWith('hook.cjs')
    ? [text]
    : (text.match(/(?:'[^']*'|"[^"]*"|\\'|[^\s'"])+/g) ?? []).map((word) =>
        word.replace(
          /'([^']*)'|"([^"]*)"|\\'/g,
          (_, single?: string, double?: string) => single ?? double ?? "'",
        ),
      );
