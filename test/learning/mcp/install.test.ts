import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runCli } from '../../helpers/cli.js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parse } from 'smol-toml';
import { replaceSettingsFile } from '../../../src/ingest/install/settings-file.js';
import {
  installedServer,
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

test('a TOML file keeps its line ends, a comment above the next table, and nothing of ours', () => {
  const at = join(folder, 'config.toml');
  const before = 'model = "x"\r\n\r\n[mcp_servers.other]\r\ncommand = "y"\r\n';
  writeFileSync(at, before);
  apply(planMcpInstall('codex', at, server));
  apply(planMcpInstall('codex', at, { ...server, args: ['other.js'] }));
  const text = readFileSync(at, 'utf8');
  expect(text.replaceAll('\r\n', '')).not.toContain('\n');
  const servers = { other: { command: 'y' }, 'trace-console': { ...server, args: ['other.js'] } };
  expect(parse(text)).toMatchObject({ mcp_servers: servers });
  apply(planMcpRemove('codex', at));
  expect(readFileSync(at, 'utf8')).toBe(before);

  const mine = '# of the profile\n[profiles.fast]\nmodel = "z"\n';
  writeFileSync(
    at,
    `[mcp_servers.'trace-console'] # ours\ncommand = "a"\nargs = [\n  "b",\n]\n\n` +
      `[mcp_servers.trace-console.env]\nKEY = "v"\n\n${mine}`,
  );
  apply(planMcpRemove('codex', at));
  expect(readFileSync(at, 'utf8').trimStart()).toBe(mine);
});

test('what cannot be told from the rest is left as it is', () => {
  const at = join(folder, 'config.toml');
  for (const text of [
    'mcp_servers = { trace-console = { command = "a" } }\n',
    'mcp_servers.trace-console.command = "a"\n',
    "note = '''\n[mcp_servers.trace-console]\n'''\n",
  ]) {
    writeFileSync(at, text);
    expect(() => planMcpInstall('codex', at, server), text).toThrow(/config\.toml/);
    expect(readFileSync(at, 'utf8')).toBe(text);
  }
  // Without our entry nothing goes, not even a file that is empty.
  for (const [client, text] of [
    ['claude', '{}\n'],
    ['claude', '{"mcpServers": {}}'],
    ['codex', ''],
  ] as const) {
    writeFileSync(at, text);
    expect(planMcpRemove(client, at).after).toBe(text);
  }
});

test('a byte order mark stays', () => {
  const at = join(folder, 'mcp.json');
  writeFileSync(at, '\uFEFF{"mcpServers": {"other": {}}}\n');
  apply(planMcpInstall('cursor', at, server));
  expect(installedServer('cursor', at)).toEqual(server);
  apply(planMcpRemove('cursor', at));
  const text = readFileSync(at, 'utf8');
  expect(text.startsWith('\uFEFF')).toBe(true);
  expect(JSON.parse(text.slice(1))).toEqual({ mcpServers: { other: {} } });
});

test('the command says which agents start the server, and what keeps it from starting', async () => {
  const run = (...args: string[]) => runCli(['mcp', ...args], { env: { HOME: folder } });
  expect(await run('install', 'claude', '--yes')).toMatchObject({ exitCode: 0 });
  const installed = await run('status', '--json');
  expect(installed.exitCode).toBe(0);
  expect(JSON.parse(installed.stdout)).toMatchObject({
    ok: true,
    clients: [
      { client: 'claude', isInstalled: true, problem: null },
      { client: 'codex', isInstalled: false },
      { client: 'gemini', isInstalled: false },
      { client: 'cursor', isInstalled: false },
    ],
  });
  apply(
    planMcpInstall('gemini', join(folder, '.gemini/settings.json'), {
      ...server,
      command: '/gone',
    }),
  );
  const broken = await run('status', 'gemini');
  expect(broken.exitCode).toBe(1);
  expect(broken.stdout).toMatch(/gemini +mcp --connection prod +\/gone is missing/);
  expect(await run('remove', '--yes')).toMatchObject({ exitCode: 0 });
  expect((await run('status')).stdout.match(/not installed/g)).toHaveLength(4);
  // It was not there before.
  expect(existsSync(join(folder, '.gemini/settings.json'))).toBe(false);
});

test('a server that its agent has switched off is not called ready', async () => {
  const status = async (client: string) => {
    const run = await runCli(['mcp', 'status', client, '--json'], {
      env: { HOME: folder },
      cwd: folder,
    });
    const { clients } = JSON.parse(run.stdout) as {
      clients: { problem: string | null; offIn: string[] }[];
    };
    return { exitCode: run.exitCode, problem: clients[0]?.problem, offIn: clients[0]?.offIn };
  };
  const write = (at: string, text: string) => {
    mkdirSync(dirname(join(folder, at)), { recursive: true });
    writeFileSync(join(folder, at), text);
  };
  const ready = { exitCode: 0, problem: null, offIn: [] };
  const here = { ...server, command: process.execPath, args: [process.execPath, 'mcp'] };
  const json = (more: object, entry: object = {}) =>
    JSON.stringify({ mcpServers: { 'trace-console': { ...here, ...entry } }, ...more });
  const off = (problem: string) => ({ exitCode: 1, problem, offIn: [] });

  const toml = `[mcp_servers.trace-console]\ncommand = "${here.command}"\nargs = []\n`;
  write('.codex/config.toml', toml);
  expect(await status('codex')).toEqual(ready);
  write('.codex/config.toml', `${toml}enabled = false\n`);
  expect(await status('codex')).toEqual(off('off: "enabled" of its entry is false'));

  const gemini = '.gemini/settings.json';
  write(gemini, json({ mcp: { allowed: ['Trace-Console'], excluded: ['other'] } }));
  expect(await status('gemini')).toEqual(ready);
  write(gemini, json({ mcp: { excluded: ['trace-console'] } }));
  expect(await status('gemini')).toEqual(off('off: it stands in mcp.excluded'));
  write(gemini, json({ allowMCPServers: ['other'] }));
  expect(await status('gemini')).toEqual(off('off: it is not in allowMCPServers'));
  write(gemini, json({}));
  write('.gemini/mcp-server-enablement.json', '{"trace-console": {"enabled": false}}');
  expect(await status('gemini')).toEqual(off('off: gemini mcp enable trace-console'));

  write('.cursor/mcp.json', json({}, { disabled: true }));
  expect(await status('cursor')).toEqual(off('off: "disabled" of its entry is true'));

  const projects = (at: string) => ({
    projects: { [at]: { disabledMcpServers: ['trace-console'] } },
  });
  write('.claude.json', json(projects('/elsewhere')));
  expect(await status('claude')).toEqual({ ...ready, offIn: ['/elsewhere'] });
  write('.claude.json', json(projects(realpathSync(folder))));
  expect(await status('claude')).toEqual(
    off(`off in ${realpathSync(folder)}: /mcp enable trace-console`),
  );
  write('.claude.json', json({}));
  const user = join(folder, '.claude/settings.json');
  write('.claude/settings.json', '{"deniedMcpServers": [{"serverName": "trace-console"}]}');
  expect(await status('claude')).toEqual(off(`off: deniedMcpServers in ${user}`));
  write('.claude/settings.json', '{"allowedMcpServers": []}');
  expect(await status('claude')).toEqual(off(`off: not one of allowedMcpServers in ${user}`));
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
