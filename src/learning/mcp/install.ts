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
  const [, text] = marked(readSettingsFile(at).text ?? '');
  const settings =
    client === 'codex' ? parsedToml(text, at) : parseSettings(text.trim() === '' ? '{}' : text, at);
  const servers = objectOf(objectOf(settings)[client === 'codex' ? 'mcp_servers' : 'mcpServers']);
  if (!Object.hasOwn(servers, serverName)) return undefined;
  const { command, args } = objectOf(servers[serverName]);
  return {
    command: typeof command === 'string' ? command : '',
    args: Array.isArray(args) ? args.filter((arg) => typeof arg === 'string') : [],
  };
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
