import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { ConsoleError } from '../../db/errors.js';
import { stateFolder } from '../spool/append.js';
import {
  type Agent,
  type HookCommand,
  type Scope,
  type SettingsAgent,
  type Surroundings,
} from './agent.js';
import {
  addHooks,
  addTable,
  addTelemetry,
  removeHooks,
  removeTable,
  removeTelemetry,
} from './merge.js';
import { pluginMark } from './opencode.js';
import { readSettingsFile, replaceSettingsFile, type SettingsFile } from './settings-file.js';

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
 * @throws ConsoleError
 */
export function planInstall(
  agent: Agent,
  scope: Scope,
  surroundings: Surroundings,
  {
    command,
    hookProgram,
    telemetry = false,
  }: { command: HookCommand; hookProgram: string; telemetry?: boolean },
): HookChange {
  const at = settingsPath(agent, scope, surroundings);
  const file = readSettingsFile(at);
  if (agent.kind === 'plugin') {
    refuseForeignPlugin(file, at);
    return { agent, path: at, file, after: agent.source(hookProgram), backup: undefined };
  }
  const words = { ...command, args: [...command.args, agent.id] };
  const withHooks = addHooks(file.text, agent, words, at);
  const installed = telemetry ? addTelemetry(withHooks, agent, at) : withHooks;
  const kept = readBackup(file, surroundings);
  // As kept, unless somebody has changed the file since.
  const original =
    kept?.installed === file.text ? kept?.original : withoutOurs(file.text, agent, at);
  const backup = { installed, ...(original === undefined ? {} : { original }) };
  return { agent, path: at, file, after: installed, backup };
}

function withoutOurs(
  text: string | undefined,
  agent: SettingsAgent,
  at: string,
): string | undefined {
  if (text === undefined) return undefined;
  const after = removeHooks(text, at);
  return agent.telemetry === undefined ? after : removeTelemetry(after, agent.telemetry, at);
}

/**
 * The change of the file in which a CLI keeps its telemetry beside its hooks; none where it has no such file, or nothing
 * of it is ours.
 *
 * @throws ConsoleError
 */
export function planTelemetryFile(
  agent: Agent,
  surroundings: Surroundings,
  isWanted: boolean,
): HookChange[] {
  if (agent.kind !== 'settings' || agent.telemetryFile === undefined) return [];
  const { path: pathOf, table, lines } = agent.telemetryFile;
  const at = pathOf(surroundings);
  const file = readSettingsFile(at);
  const { text } = file;
  const kept = readBackup(file, surroundings);
  if (!isWanted) {
    if (text === undefined || removeTable(text) === text) return [];
    const without = kept?.installed === text ? kept.original : removeTable(text);
    const isEmpty = without?.trim() === '' && kept?.original === undefined;
    return [{ agent, path: at, file, after: isEmpty ? undefined : without, backup: undefined }];
  }
  const installed = addTable(text ?? '', table, lines, at);
  const original =
    kept?.installed === text ? kept?.original : text === undefined ? undefined : removeTable(text);
  const backup = { installed, ...(original === undefined ? {} : { original }) };
  return [{ agent, path: at, file, after: installed, backup }];
}

/** @throws ConsoleError */
export function planRemove(agent: Agent, scope: Scope, surroundings: Surroundings): HookChange {
  const at = settingsPath(agent, scope, surroundings);
  const file = readSettingsFile(at);
  return {
    agent,
    path: at,
    file,
    after: afterRemoval(agent, at, file, surroundings),
    backup: undefined,
  };
}

function afterRemoval(
  agent: Agent,
  at: string,
  file: SettingsFile,
  surroundings: Surroundings,
): string | undefined {
  if (file.text === undefined) return undefined;
  if (agent.kind === 'plugin') {
    refuseForeignPlugin(file, at);
    return undefined;
  }
  const kept = readBackup(file, surroundings);
  if (kept?.installed === file.text) return kept.original;
  const after = withoutOurs(file.text, agent, at) ?? '';
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
    fs.mkdirSync(path.dirname(kept), { recursive: true, mode: 0o700 });
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
    return JSON.parse(fs.readFileSync(backupFile(file, surroundings), 'utf8')) as Backup;
  } catch {
    return undefined;
  }
}
