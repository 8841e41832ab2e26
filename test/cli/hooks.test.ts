import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parse } from 'smol-toml';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { agentIds } from '../../src/ingest/install/agent.js';
import { claude } from '../../src/ingest/install/registry.js';
import { runCli } from '../helpers/cli.js';
import { runHook } from '../helpers/hook.js';

let home: string;
beforeEach(() => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-hooks-'));
});
afterEach(() => fs.rmSync(home, { recursive: true, force: true }));

const run = (...args: string[]) =>
  runCli(['hooks', ...args], {
    env: { HOME: home, XDG_CONFIG_HOME: at('.config'), TRACE_CONSOLE_SPOOL: at('spool') },
  });
const at = (...parts: string[]) => path.join(home, ...parts);
const fixture = (name: string) =>
  fs.readFileSync(path.join(import.meta.dirname, '../ingest/install/fixtures', name), 'utf8');

const settings = {
  claude: ['.claude/settings.json', 'claude-settings.json'],
  codex: ['.codex/hooks.json', 'codex-hooks.json'],
  gemini: ['.gemini/settings.json', 'gemini-settings.json'],
  cursor: ['.cursor/hooks.json', 'cursor-hooks.json'],
  copilot: ['.copilot/hooks/trace-console.json', 'copilot-hooks.json'],
} as const;

function writeSettings(): Map<string, string> {
  const files = new Map<string, string>();
  for (const [file, source] of Object.values(settings)) {
    fs.mkdirSync(path.dirname(at(file)), { recursive: true });
    fs.writeFileSync(at(file), fixture(source), { mode: 0o640 });
    files.set(file, fixture(source));
  }
  return files;
}

describe('hooks install and remove', () => {
  it('change the settings of all six CLIs, and give back what was there byte for byte', async () => {
    const before = writeSettings();
    const dry = await run('install', ...agentIds, '--dry-run');
    expect(dry.exitCode).toBe(0);
    expect(dry.stdout).toMatch(/\+ .*"PreToolUse"/);
    expect(dry.stdout).toMatch(/\nWould change:\n {2}\S+settings.json \(changed\): \d+ hooks\n/);
    expect(dry.stdout).toMatch(/\nNothing was changed \(--dry-run\)\.\n$/);
    expect(dry.stdout).not.toMatch(/See whether|trusted/);
    for (const [file, text] of before) expect(fs.readFileSync(at(file), 'utf8')).toBe(text);

    const installed = await run('install', ...agentIds, '--yes', '--json');
    expect(installed).toMatchObject({ exitCode: 0, stderr: '' });
    for (const [file, text] of before) {
      expect(fs.readFileSync(at(file), 'utf8')).not.toBe(text);
      expect(fs.statSync(at(file)).mode & 0o777).toBe(0o640);
    }
    expect(fs.existsSync(at('.config/opencode/plugins/trace-console.js'))).toBe(true);
    const again = await run('install', ...agentIds, '--yes', '--json');
    const { files } = JSON.parse(again.stdout) as { files: { changes: boolean }[] };
    expect(files.filter(({ changes }) => changes)).toEqual([]);

    expect(await run('remove', ...agentIds, '--yes')).toMatchObject({ exitCode: 0 });
    for (const [file, text] of before) expect(fs.readFileSync(at(file), 'utf8')).toBe(text);
    expect(fs.existsSync(at('.config/opencode/plugins/trace-console.js'))).toBe(false);
  });

  it('remove a file that was not there before, and keep what somebody has added since', async () => {
    await run('install', 'claude', 'cursor', '--yes');
    const file = at('.cursor/hooks.json');
    const theirs = JSON.parse(fs.readFileSync(file, 'utf8')) as {
      hooks: Record<string, unknown[]>;
    };
    theirs.hooks.stop?.push({ command: 'mine' });
    fs.writeFileSync(file, JSON.stringify(theirs));
    await run('remove', 'claude', 'cursor', '--yes');
    expect(fs.existsSync(at('.claude/settings.json'))).toBe(false);
    expect(JSON.parse(fs.readFileSync(file, 'utf8'))).toEqual({
      version: 1,
      hooks: { stop: [{ command: 'mine' }] },
    });
  });

  it('switch telemetry on in three CLIs, the difference first, say so, and give back what was there', async () => {
    const before = new Map([
      ['.claude/settings.json', '{\n  // mine\n  "env": { "FOO": "1" },\n  "model": "opus"\n}\n'],
      ['.codex/config.toml', 'model = "gpt-5.5" # mine\n\n[mcp_servers.x]\ncommand = "y"\n'],
      ['.gemini/settings.json', '{\n\t"theme": "dark"\n}\n'],
    ]);
    const there = () =>
      new Map([...before.keys()].map((file) => [file, fs.readFileSync(at(file), 'utf8')]));
    for (const [file, text] of before) {
      fs.mkdirSync(path.dirname(at(file)), { recursive: true });
      fs.writeFileSync(at(file), text);
    }
    const words = ['claude', 'codex', 'gemini'];
    const asked = await run('install', ...words, '--telemetry');
    expect(asked.exitCode).toBe(4);
    expect(asked.stdout).toMatch(/\+ .*"OTEL_EXPORTER_OTLP_ENDPOINT": "http:\/\/127.0.0.1:4318"/);
    expect(asked.stdout).toMatch(/\+ .*"OTEL_METRICS_EXPORTER": "otlp"/);
    expect(asked.stdout).toMatch(/\+ \[otel\]\n/);
    expect(asked.stdout).toMatch(/\+ .*"otlpEndpoint": "http:\/\/127.0.0.1:4318"/);
    expect(asked.stdout).toMatch(/settings.json \(changed\): \d+ hooks, 5 telemetry settings\n/);
    expect(asked.stdout).toMatch(/config.toml \(changed\): telemetry by \[otel\]\n/);
    expect(there()).toEqual(before);

    const installed = await run('install', ...words, '--telemetry', '--yes');
    expect(installed.stdout).toContain('trusted');
    const status = async () => {
      const { stdout } = await run('status', ...words, '--json');
      const { clis } = JSON.parse(stdout) as {
        clis: { installations: { telemetry: boolean; problems: string[] }[] }[];
      };
      return clis.map(({ installations: [each] }) => [each?.telemetry, each?.problems]);
    };
    expect(await status()).toEqual(words.map(() => [true, []]));
    expect((await run('status')).stdout).toContain('[collect]\n  listen = ');

    await run('remove', ...words, '--yes');
    expect(there()).toEqual(before);
    expect(fs.existsSync(at('.codex/hooks.json'))).toBe(false);
    await run('install', ...words, '--yes');
    expect(await status()).toEqual(words.map(() => [false, []]));
  });

  it('name the config file, and print what has the collector listen so that it can be pasted there', async () => {
    const file = at('.config/trace-console/config.toml');
    const shown = await run('install', 'claude', '--telemetry', '--dry-run');
    const [, where, lines = ''] =
      /, at the end of (\S+):\n((?: {2}.*\n)+)/.exec(shown.stdout) ?? [];
    expect(where).toBe(file);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, `[connections.laptop]\ndata-dir = "traces"\n${lines}`, { mode: 0o600 });
    expect(parse(fs.readFileSync(file, 'utf8'))).toMatchObject({
      collect: { listen: '127.0.0.1:4318' },
    });
    const done = await run('install', 'claude', '--telemetry', '--dry-run');
    expect(done).toMatchObject({ exitCode: 0, stderr: '' });
    expect(done.stdout).not.toContain('To do');

    fs.writeFileSync(file, '[collect]\nmetrics-every = "60s"\n', { mode: 0o600 });
    const beside = await run('install', 'claude', '--telemetry', '--dry-run');
    expect(beside.stdout).toContain(`in ${file}, in the line below [collect]:\n  listen = `);
    expect(beside.stdout).not.toContain('\n  [collect]');
  });

  it('send telemetry to where the collector listens, follow it to another address, and take it out again', async () => {
    const config = at('config.toml');
    const listenOn = (listen: string) =>
      fs.writeFileSync(config, `[collect]\nlisten = "${listen}"\n`, { mode: 0o600 });
    const words = ['claude', 'codex', 'gemini'];
    const withConfig = (...args: string[]) => run(...args, '--config', config);
    fs.mkdirSync(at('.claude'));
    // Metrics that go elsewhere go on doing so.
    const env = { OTEL_METRICS_EXPORTER: 'prometheus' };
    fs.writeFileSync(at('.claude/settings.json'), `${JSON.stringify({ env, hooks: {} })}\n`);
    listenOn('127.0.0.1:4999');
    await withConfig('install', ...words, '--telemetry', '--yes');
    const there = () =>
      ['.claude/settings.json', '.codex/config.toml', '.gemini/settings.json'].map(
        (file) => /http:\/\/[\w.:]+/.exec(fs.readFileSync(at(file), 'utf8'))?.[0],
      );
    expect(there()).toEqual(words.map(() => 'http://127.0.0.1:4999'));
    listenOn('0.0.0.0:5000');
    await withConfig('install', ...words, '--telemetry', '--yes');
    expect(there()).toEqual(words.map(() => 'http://127.0.0.1:5000'));
    const edited = fs
      .readFileSync(at('.claude/settings.json'), 'utf8')
      .replace('{', '{ "mine": 1,');
    fs.writeFileSync(at('.claude/settings.json'), edited);
    await withConfig('remove', ...words, '--yes');
    expect(JSON.parse(fs.readFileSync(at('.claude/settings.json'), 'utf8'))).toEqual({
      mine: 1,
      env,
      hooks: {},
    });
    expect(fs.existsSync(at('.codex/config.toml'))).toBe(false);
    expect(fs.existsSync(at('.gemini/settings.json'))).toBe(false);
  });

  it('take the CLIs that are on this machine where none is named', async () => {
    fs.mkdirSync(at('.gemini'));
    const { stdout } = await run('install', '--dry-run');
    expect(stdout).toContain('Gemini CLI');
    expect(stdout).not.toContain('Claude Code:');
  });

  it('ask before they write', async () => {
    const refused = await run('install', 'claude');
    expect(refused.exitCode).toBe(4);
    expect(refused.stderr).toContain('hooks install claude --yes');
    expect(fs.existsSync(at('.claude'))).toBe(false);
  });

  it('write through a symbolic link, which stays one', async () => {
    fs.mkdirSync(at('dotfiles'));
    fs.mkdirSync(at('.claude'));
    fs.writeFileSync(at('dotfiles/claude.json'), fixture('claude-settings.json'));
    fs.symlinkSync(at('dotfiles/claude.json'), at('.claude/settings.json'));
    await run('install', 'claude', '--yes');
    expect(fs.lstatSync(at('.claude/settings.json')).isSymbolicLink()).toBe(true);
    expect(fs.readFileSync(at('dotfiles/claude.json'), 'utf8')).toContain('hook.cjs');
    await run('remove', 'claude', '--yes');
    expect(fs.readFileSync(at('dotfiles/claude.json'), 'utf8')).toBe(
      fixture('claude-settings.json'),
    );
  });

  it.each([
    ['broken JSON', (file: string) => fs.writeFileSync(file, '{"hooks": '), 'is broken in line 1'],
    [
      'a read-only file',
      (file: string) => fs.writeFileSync(file, '{}', { mode: 0o444 }),
      'is read-only',
    ],
    [
      'a link to nothing',
      (file: string) => fs.symlinkSync('/nowhere/settings', file),
      'a file that is missing',
    ],
  ])('leave %s as it is, and say why', async (_, make, message) => {
    fs.mkdirSync(at('.claude'));
    make(at('.claude/settings.json'));
    const result = await run('install', 'claude', '--yes');
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain(message);
    expect(result.stderr).toContain('Nothing was changed');
    expect(fs.readdirSync(at('.claude'))).toEqual(['settings.json']);
  });

  it('refuse a scope that a CLI does not have', async () => {
    expect(await run('install', 'codex', '--scope', 'local')).toMatchObject({ exitCode: 2 });
    expect(await run('install', 'vim')).toMatchObject({ exitCode: 2 });
  });
});

describe('hooks status', () => {
  it('says what is installed, what keeps it from running, and when the last event came', async () => {
    await run('install', 'claude', '--yes');
    const status = async () => {
      const { stdout, exitCode } = await run('status', 'claude', 'gemini', '--json');
      const { clis } = JSON.parse(stdout) as {
        clis: { lastEvent: string | null; obstacles: string[] }[];
      };
      return { exitCode, claude: clis[0], gemini: clis[1] };
    };
    expect(await status()).toMatchObject({
      exitCode: 0,
      claude: {
        installations: [{ scope: 'user', events: 32, outOf: 32, problems: [] }],
        lastEvent: null,
      },
      gemini: { installations: [], lastEvent: null },
    });
    // There the user's settings are those of the project, too.
    const { stdout: athome } = await runCli(['hooks', 'status', 'claude', '--json'], {
      env: { HOME: home, XDG_CONFIG_HOME: at('.config'), TRACE_CONSOLE_SPOOL: at('spool') },
      cwd: home,
    });
    expect(JSON.parse(athome)).toMatchObject({
      ok: true,
      clis: [{ installations: [{ scope: 'user' }] }],
    });
    const startedAt = Date.now();
    await runHook({ hook_event_name: 'Stop' }, { env: { TRACE_CONSOLE_SPOOL: at('spool') } });
    const { claude } = await status();
    expect(Date.parse(claude?.lastEvent ?? '')).toBeGreaterThanOrEqual(startedAt);
    const file = at('.claude/settings.json');
    fs.writeFileSync(
      file,
      fs.readFileSync(file, 'utf8').replace('{', '{ "disableAllHooks": true,'),
    );
    expect(await status()).toMatchObject({
      exitCode: 1,
      claude: { obstacles: [expect.stringContaining('disableAllHooks')] },
    });
  });

  it('finds nothing wrong after installing, and names a program that is gone', async () => {
    writeSettings();
    await run('install', ...agentIds, '--yes');
    const installed = await run('status');
    expect(installed.stdout).not.toContain('install it again');
    expect(installed.exitCode).toBe(0);
    const program = path.join(inject('programs'), 'hook.cjs');
    for (const [file] of [settings.claude, settings.codex]) {
      const text = fs.readFileSync(at(file), 'utf8');
      fs.writeFileSync(at(file), text.replaceAll(program, '/gone/hook.cjs'));
      const { stdout, exitCode } = await run('status');
      expect(exitCode).toBe(1);
      expect(stdout).toContain(`${at(file)}: /gone/hook.cjs is missing`);
    }
  });

  it('knows hooks that post, what keeps them from it, and which CLI has none', async () => {
    const [file] = settings.claude;
    const text = writeSettings().get(file);
    expect((await run('install', 'claude', '--http', '--yes')).stdout).toContain(
      'collect --service',
    );
    expect((await run('status', 'claude')).exitCode).toBe(0);
    const posting = fs.readFileSync(at(file), 'utf8');
    fs.writeFileSync(at(file), posting.replace('{', '{ "allowedHttpHookUrls": ["https://x/*"],'));
    const refused = await run('status', 'claude');
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(refused.stdout).toContain('allowedHttpHookUrls');
    // The lists of all settings files are one list.
    const allow = (urls: string[]) => {
      fs.mkdirSync(at('shop/.claude'), { recursive: true });
      const local = at('shop/.claude/settings.local.json');
      fs.writeFileSync(local, JSON.stringify({ allowedHttpHookUrls: urls }));
    };
    const surroundings = { home, project: at('shop'), environment: {} };
    const obstacles = () => claude.obstacles(surroundings);
    allow(['http://127.0.0.1:*']);
    expect(obstacles()).toEqual([]);
    fs.writeFileSync(at(file), posting);
    expect(obstacles()).toEqual([]);
    allow([]);
    expect(obstacles()).toEqual([expect.stringContaining('settings.local.json does not name')]);
    await run('remove', 'claude', '--yes');
    expect(fs.readFileSync(at(file), 'utf8')).toBe(text);
    fs.mkdirSync(at('.config/trace-console'), { recursive: true });
    fs.writeFileSync(
      at('.config/trace-console/config.toml'),
      '[collect]\nlisten = "127.0.0.1:5000"\n',
    );
    const elsewhere = await run('install', 'claude', '--http', '--dry-run');
    expect(elsewhere.stdout).toContain('http://127.0.0.1:5000/trace-console/hook/claude');
    const other = await run('install', 'claude', 'codex', '--http', '--yes');
    expect(other).toMatchObject({ exitCode: 2 });
    expect(other.stderr).toContain('Codex CLI cannot post');
  });
});
