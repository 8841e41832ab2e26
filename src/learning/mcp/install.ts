import { isObject } from '../../core/values.js';
import path from 'node:path';
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

/** @throws ConsoleError `file_failed` where the file is broken */
export function planMcpInstall(client: McpClient, at: string, server: ServerCommand): McpChange {
  const file = readSettingsFile(at);
  const text = file.text ?? '';
  const after =
    client === 'codex'
      ? tomlWith(text, at, server)
      : jsonWith(text, at, { ...server, args: [...server.args] });
  return { client, path: at, file, after };
}

/** @throws ConsoleError `file_failed` where the file is broken */
export function planMcpRemove(client: McpClient, at: string): McpChange {
  const file = readSettingsFile(at);
  if (file.text === undefined) return { client, path: at, file, after: undefined };
  const text = client === 'codex' ? tomlWithout(file.text, at) : jsonWith(file.text, at, undefined);
  const isEmpty = text.trim() === '' || (client !== 'codex' && /^\{\s*\}$/.test(text.trim()));
  return { client, path: at, file, after: isEmpty ? undefined : text };
}

/** Changes one entry in the text: comments, order and indentation stay. */
function jsonWith(text: string, at: string, server: object | undefined): string {
  const before = text.trim() === '' ? '{}\n' : text;
  const value = parseSettings(before, at);
  const servers = (value as { mcpServers?: unknown } | null)?.mcpServers;
  if (server === undefined && !isObject(servers)) return text;
  if (!isObject(value) || (servers !== undefined && !isObject(servers))) {
    throw new ConsoleError('file_failed', `${at} has an unknown shape.`, {
      hint: 'Nothing was changed.',
    });
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

const block = /\n?\[mcp_servers\.(?:trace-console|"trace-console")\]\n(?:(?!\[)[^\n]*(?:\n|$))*/;

/** TOML has no editor that keeps comments: our table stands at the end, and is found as a whole. */
function tomlWith(text: string, at: string, server: ServerCommand): string {
  const without = tomlWithout(text, at);
  const table = stringify({
    mcp_servers: { [serverName]: { command: server.command, args: [...server.args] } },
  })
    .replace(/^\[mcp_servers\]\n+/, '')
    .trim();
  const gap = without === '' ? '' : without.endsWith('\n') ? '\n' : '\n\n';
  return `${without}${gap}${table}\n`;
}

function tomlWithout(text: string, at: string): string {
  try {
    parse(text);
  } catch (cause) {
    throw new ConsoleError('file_failed', `${at} is broken.`, {
      hint: 'Nothing was changed. Mend the file, then run it again.',
      cause,
    });
  }
  return text.replace(block, '');
}
