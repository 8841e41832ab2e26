import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parse } from 'smol-toml';
import { replaceSettingsFile } from '../../../src/ingest/install/settings-file.js';
import {
  planMcpInstall,
  planMcpRemove,
  type McpChange,
} from '../../../src/learning/mcp/install.js';

const server = { command: '/usr/bin/node', args: ['/opt/main.js', 'mcp', '--connection', 'prod'] };
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'trace-console-mcp-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const apply = ({ file, after }: McpChange) => replaceSettingsFile(file, after);

test('a JSON file keeps its comments and other servers, and comes back as it was', () => {
  const at = join(folder, 'mcp.json');
  const before =
    '{\n\t// mine\n\t"mcpServers": {\n\t\t"other": {\n\t\t\t"command": "x"\n\t\t}\n\t}\n}\n';
  writeFileSync(at, before);
  apply(planMcpInstall('cursor', at, server));
  const text = readFileSync(at, 'utf8');
  expect(text).toContain('// mine');
  expect(text).toContain('"command": "x"');
  expect(text).toContain('"--connection"');
  expect(planMcpInstall('cursor', at, server).after).toBe(text);
  apply(planMcpRemove('cursor', at));
  expect(readFileSync(at, 'utf8')).toBe(before);
});

test('a file that only we made goes again', () => {
  const at = join(folder, 'settings.json');
  apply(planMcpInstall('gemini', at, server));
  expect(JSON.parse(readFileSync(at, 'utf8'))).toEqual({ mcpServers: { 'trace-console': server } });
  expect(planMcpRemove('gemini', at).after).toBeUndefined();
});

test('a TOML file keeps what is in it, and comes back as it was', () => {
  const at = join(folder, 'config.toml');
  const before = '# mine\nmodel = "x"\n\n[mcp_servers.other]\ncommand = "y"\n';
  writeFileSync(at, before);
  apply(planMcpInstall('codex', at, server));
  const text = readFileSync(at, 'utf8');
  expect(text.startsWith(before)).toBe(true);
  expect(parse(text)).toMatchObject({
    mcp_servers: { other: { command: 'y' }, 'trace-console': server },
  });
  expect(planMcpInstall('codex', at, server).after).toBe(text);
  apply(planMcpRemove('codex', at));
  expect(readFileSync(at, 'utf8')).toBe(before);
});

test('a broken file is left as it is', () => {
  for (const [client, text] of [
    ['cursor', '{"mcpServers": '],
    ['codex', 'model = '],
    ['claude', '{"mcpServers": []}'],
  ] as const) {
    const at = join(folder, client);
    writeFileSync(at, text);
    expect(() => planMcpInstall(client, at, server)).toThrow(at);
    expect(readFileSync(at, 'utf8')).toBe(text);
  }
});
