import { isObject, objectOf } from '../../core/values.js';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { applyEdits, modify } from 'jsonc-parser';
import { parse, stringify } from 'smol-toml';
import { ConsoleError } from '../../db/errors.js';
import {
  parseSettings,
  readSettingsFile,
  type SettingsFile,
} from '../../ingest/install/settings-file.js';

/** The agents' CLIs that start MCP servers by a file of settings. */
export const mcpClients = ['claude', 'codex', 'gemini', 'cursor'] as const;
export type McpClient = (typeof mcpClients)[number];

/** How the server is started; it holds no secret: connections are named, or come from the environment. */
export type ServerCommand = { command: string; args: readonly string[] };

export type McpChange = {
  client: McpClient;
  path: string;
  file: SettingsFile;
  /** Undefined: the file goes, because nothing but our entry was in it. */
  after: string | undefined;
};

const serverName = 'trace-console';

/**
 * Where a client's settings of the user lie.
 *
 * @param home the home folder
 */
export function mcpSettingsPath(
  client: McpClient,
  home: string,
  environment = process.env,
): string {
  const places: Record<McpClient, string> = {
    claude: path.join(home, '.claude.json'),
    codex: path.join(environment.CODEX_HOME ?? path.join(home, '.codex'), 'config.toml'),
    gemini: path.join(home, '.gemini/settings.json'),
    cursor: path.join(home, '.cursor/mcp.json'),
  };
  return places[client];
}

/** @throws ConsoleError `file_failed` where the file is broken, or holds what cannot be changed safely */
export function planMcpInstall(client: McpClient, at: string, server: ServerCommand): McpChange {
  const file = readSettingsFile(at);
  const [mark, text] = marked(file.text ?? '');
  const given = { command: server.command, args: [...server.args] };
  const after = client === 'codex' ? tomlWith(text, at, given) : jsonWith(text, at, given);
  return { client, path: at, file, after: mark + after };
}

/** @throws ConsoleError `file_failed` where the file is broken, or holds what cannot be changed safely */
export function planMcpRemove(client: McpClient, at: string): McpChange {
  const file = readSettingsFile(at);
  if (file.text === undefined) return { client, path: at, file, after: undefined };
  const [mark, before] = marked(file.text);
  const text = client === 'codex' ? tomlWithout(before, at) : jsonWith(before, at, undefined);
  const isOurs = text !== before;
  const isEmpty = text.trim() === '' || (client !== 'codex' && /^\{\s*\}$/.test(text.trim()));
  return { client, path: at, file, after: isOurs && isEmpty ? undefined : mark + text };
}

/**
 * How a client starts the server by its settings; undefined: it does not.
 *
 * @throws ConsoleError `file_failed`
 */
export function installedServer(client: McpClient, at: string): ServerCommand | undefined {
  const entry = entryIn(client, settingsOf(client, at));
  if (!entry) return undefined;
  const { command, args } = entry;
  return {
    command: typeof command === 'string' ? command : '',
    args: Array.isArray(args) ? args.filter((arg) => typeof arg === 'string') : [],
  };
}

function settingsOf(client: McpClient, at: string): Record<string, unknown> {
  const [, text] = marked(readSettingsFile(at).text ?? '');
  const isToml = client === 'codex';
  return objectOf(
    isToml ? parsedToml(text, at) : parseSettings(text.trim() === '' ? '{}' : text, at),
  );
}

function entryIn(client: McpClient, settings: Record<string, unknown>) {
  const servers = objectOf(settings[client === 'codex' ? 'mcp_servers' : 'mcpServers']);
  return Object.hasOwn(servers, serverName) ? objectOf(servers[serverName]) : undefined;
}

/** `here`: why an installed server is not started from the working folder; `elsewhere`: folders of projects in which it is off. */
export type SwitchedOff = { here?: string; elsewhere: readonly string[] };

/**
 * By the switches of the client that stand in files of the user. Cursor keeps its own switch in a database of its own, which is
 * not read.
 *
 * @param cwd the working folder
 * @throws ConsoleError `file_failed`
 */
export function switchedOff(
  client: McpClient,
  { at, home, cwd }: { at: string; home: string; cwd: string },
): SwitchedOff {
  const settings = settingsOf(client, at);
  const entry = entryIn(client, settings);
  if (entry?.enabled === false)
    return { here: 'off: "enabled" of its entry is false', elsewhere: [] };
  if (entry?.disabled === true)
    return { here: 'off: "disabled" of its entry is true', elsewhere: [] };
  if (client === 'claude')
    return offInClaude(settings, path.join(home, '.claude/settings.json'), cwd);
  const here = client === 'gemini' ? offInGemini(settings, path.dirname(at)) : undefined;
  return { ...(here === undefined ? {} : { here }), elsewhere: [] };
}

const names = (list: unknown): readonly unknown[] => (Array.isArray(list) ? list : []);

/** `/mcp disable` keeps what is off by project; the user's settings may deny servers, or allow some only. */
function offInClaude(settings: Record<string, unknown>, user: string, cwd: string): SwitchedOff {
  const folders = Object.entries(objectOf(settings.projects)).flatMap(([folder, project]) =>
    names(objectOf(project).disabledMcpServers).includes(serverName) ? [folder] : [],
  );
  const isHere = (folder: string) => cwd === folder || cwd.startsWith(`${folder}${path.sep}`);
  const { deniedMcpServers: denied, allowedMcpServers: allowed } = settingsOf('claude', user);
  const isNamed = (list: unknown) =>
    names(list).some((one) => objectOf(one).serverName === serverName);
  const byCommand = names(allowed).some((one) => Object.hasOwn(objectOf(one), 'serverCommand'));
  const project = folders.find(isHere);
  const reason = isNamed(denied)
    ? `off: deniedMcpServers in ${user}`
    : Array.isArray(allowed) && !isNamed(allowed) && !byCommand
      ? `off: not one of allowedMcpServers in ${user}`
      : project === undefined
        ? undefined
        : `off in ${project}: /mcp enable ${serverName}`;
  return {
    ...(reason === undefined ? {} : { here: reason }),
    elsewhere: folders.filter((folder) => !isHere(folder)),
  };
}

function offInGemini(settings: Record<string, unknown>, folder: string): string | undefined {
  const { mcp, admin } = settings;
  const { excluded, allowed } = objectOf(mcp);
  const isIn = (list: unknown) =>
    names(list).some(
      (name) => typeof name === 'string' && name.trim().toLowerCase() === serverName,
    );
  // The names without a group are those of older versions.
  for (const [name, list] of [
    ['mcp.excluded', excluded],
    ['excludeMCPServers', settings.excludeMCPServers],
  ] as const) {
    if (isIn(list)) return `off: it stands in ${name}`;
  }
  for (const [name, list] of [
    ['mcp.allowed', allowed],
    ['allowMCPServers', settings.allowMCPServers],
  ] as const) {
    if (names(list).length > 0 && !isIn(list)) return `off: it is not in ${name}`;
  }
  if (objectOf(objectOf(admin).mcp).enabled === false) return 'off: admin.mcp.enabled is false';
  const switches = settingsOf('gemini', path.join(folder, 'mcp-server-enablement.json'));
  const own = Object.hasOwn(switches, serverName) ? objectOf(switches[serverName]) : {};
  return own.enabled === false ? `off: gemini mcp enable ${serverName}` : undefined;
}

/** A byte order mark stays; no parser takes it. */
function marked(text: string): [mark: string, rest: string] {
  return text.startsWith('\uFEFF') ? ['\uFEFF', text.slice(1)] : ['', text];
}

/** Changes one entry in the text: comments, order and indentation stay. */
function jsonWith(text: string, at: string, server: object | undefined): string {
  const before = text.trim() === '' ? '{}\n' : text;
  const value = parseSettings(before, at);
  const servers = objectOf(value).mcpServers;
  if (!isObject(value) || (servers !== undefined && !isObject(servers))) throw oddShape(at);
  if (server === undefined && !(isObject(servers) && Object.hasOwn(servers, serverName))) {
    return text;
  }
  const isLast =
    server === undefined &&
    isObject(servers) &&
    Object.keys(servers).every((name) => name === serverName);
  const place = isLast ? ['mcpServers'] : ['mcpServers', serverName];
  const [, indent = '  '] = /\n([ \t]+)\S/.exec(before) ?? [];
  const formattingOptions = {
    insertSpaces: !indent.startsWith('\t'),
    tabSize: indent.startsWith('\t') ? 1 : indent.length,
    eol: before.includes('\r\n') ? '\r\n' : '\n',
  };
  return applyEdits(before, modify(before, place, server, { formattingOptions }));
}

function oddShape(at: string): ConsoleError {
  return new ConsoleError('file_failed', `${at} has an unknown shape.`, {
    hint: `Nothing was changed. Change its entry "${serverName}" by hand.`,
  });
}

const ourTable =
  /^\s*\[\s*mcp_servers\s*\.\s*(?:trace-console|"trace-console"|'trace-console')\s*(?:\.[^\]]*)?\]\s*(?:#.*)?$/;
const anyTable = /^\s*\[/;

/** TOML has no editor that keeps comments: our table stands at the end, and is found as a whole. */
function tomlWith(text: string, at: string, server: ServerCommand): string {
  const without = tomlWithout(text, at);
  const table = stringify({ mcp_servers: { [serverName]: server } })
    .replace(/^\[mcp_servers\]\n+/, '')
    .trim();
  const gap = without === '' ? '' : without.endsWith('\n') ? '\n' : '\n\n';
  const lineEnd = text.includes('\r\n') ? '\r\n' : '\n';
  const after = `${without}${`${gap}${table}\n`.replaceAll('\n', lineEnd)}`;
  const { command, args } = objectOf(
    objectOf(objectOf(parsedToml(after, at)).mcp_servers)[serverName],
  );
  if (!isDeepStrictEqual([command, args], [server.command, server.args])) throw oddShape(at);
  return after;
}

/** Without our table and its own; a comment above the next table belongs to that one. */
function tomlWithout(text: string, at: string): string {
  const before = parsedToml(text, at);
  const kept: string[] = [];
  let dropped: string[] | undefined;
  for (const line of text.split('\n')) {
    if (ourTable.test(line)) {
      // The blank line that stands before it.
      if (!dropped && kept.at(-1)?.trim() === '') kept.pop();
      dropped = [];
    } else if (!dropped) kept.push(line);
    else if (anyTable.test(line)) {
      kept.push(...ofNext(dropped), line);
      dropped = undefined;
    } else dropped.push(line);
  }
  if (dropped) kept.push(...(dropped.some(isComment) ? ofNext(dropped) : ['']));
  const after = kept.join('\n');
  if (!isDeepStrictEqual(othersIn(parsedToml(after, at)), othersIn(before))) throw oddShape(at);
  return after;
}

const isComment = (line: string) => line.trim().startsWith('#');

/** The comments and blank lines at the end. */
function ofNext(lines: readonly string[]): string[] {
  return lines.slice(1 + lines.findLastIndex((line) => line.trim() !== '' && !isComment(line)));
}

function parsedToml(text: string, at: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    throw new ConsoleError('file_failed', `${at} is broken.`, {
      hint: 'Nothing was changed. Fix the file, then run it again.',
      cause,
    });
  }
}

/** All but our entry, to be compared: what is left out by a change must be ours. */
function othersIn(settings: unknown): unknown {
  const { mcp_servers: servers, ...rest } = objectOf(settings);
  const others = Object.entries(objectOf(servers)).filter(([name]) => name !== serverName);
  return { rest, others };
}
