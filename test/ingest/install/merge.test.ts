import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parse } from 'jsonc-parser';
import { parse as parseToml } from 'smol-toml';
import { afterAll, describe, expect, it } from 'vitest';
import type { SettingsAgent, TelemetrySettings } from '../../../src/ingest/install/agent.js';
import { applyChange, planTelemetryFile } from '../../../src/ingest/install/change.js';
import { agentById, agents, claude } from '../../../src/ingest/install/registry.js';
import {
  addHooks,
  addTelemetry,
  installedHooks,
  removeHooks,
  removeTelemetry,
} from '../../../src/ingest/install/merge.js';

const settingsAgents = agents.filter((agent) => agent.kind === 'settings');
const commandOf = (agent: SettingsAgent) => ({
  program: '/usr/bin/node',
  args: ['/opt/my tools/hook.cjs', agent.id],
});
const file = 'settings.json';
const install = (text: string | undefined, agent: SettingsAgent) =>
  addHooks(text, agent, commandOf(agent), file);

function fixture(agent: SettingsAgent): string {
  const folder = path.join(import.meta.dirname, 'fixtures');
  const name = fs.readdirSync(folder).find((entry) => entry.startsWith(agent.id)) ?? '';
  return fs.readFileSync(path.join(folder, name), 'utf8');
}

type Settings = { hooks: Record<string, unknown[]> };

describe.each(settingsAgents)('the settings of $title', (agent) => {
  it('get the hook for each of its events, and keep every line they had', () => {
    const before = fixture(agent);
    const after = install(before, agent);
    expect([...installedHooks(after, file).keys()].sort()).toEqual([...agent.events].sort());
    const had = parse(before) as Settings;
    const has = parse(after) as Settings;
    for (const [event, entries] of Object.entries(had.hooks)) {
      expect(has.hooks[event]?.slice(0, entries.length)).toEqual(entries);
    }
    for (const comment of before.match(/\/\/.*/g) ?? []) expect(after).toContain(comment);
  });

  it('do not change when it is installed twice', () => {
    const once = install(fixture(agent), agent);
    expect(install(once, agent)).toBe(once);
  });

  it('are as before once it is removed', () => {
    // An empty list, and what stood on one line, are the exceptions: removing by the backup is exact.
    const after = removeHooks(install(fixture(agent), agent), file);
    const expected = parse(fixture(agent)) as Settings;
    for (const [event, entries] of Object.entries(expected.hooks)) {
      if (entries.length === 0) Reflect.deleteProperty(expected.hooks, event);
    }
    expect(parse(after)).toEqual(expected);
    expect(installedHooks(after, file).size).toBe(0);
    for (const comment of fixture(agent).match(/\/\/.*/g) ?? []) expect(after).toContain(comment);
  });

  it('are as before also where something stood empty, and was edited since', () => {
    const [event = ''] = agent.events;
    for (const hooks of [{}, { [event]: [] }, { enabled: true }]) {
      const before = JSON.stringify({ mine: 1, hooks }, undefined, 2);
      const edited = install(before, agent).replace('"mine": 1', '"mine": 2');
      const after = removeHooks(edited, file, { base: agent.base, text: before });
      expect(after).toBe(before.replace('"mine": 1', '"mine": 2'));
    }
    // Nobody knows what it was: a switch beside the events is somebody's all the same.
    const switched = JSON.stringify({ hooks: { enabled: true } });
    expect(parse(removeHooks(install(switched, agent), file))).toEqual({
      ...agent.base,
      hooks: { enabled: true },
    });
  });

  it('are made where there are none', () => {
    const made = install(undefined, agent);
    expect(Object.keys((JSON.parse(made) as Settings).hooks).sort()).toEqual(
      [...agent.events].sort(),
    );
    expect(JSON.parse(removeHooks(made, file))).toEqual(agent.base);
  });
});

describe('hooks in settings', () => {
  it('keep tabs and the line ends of Windows', () => {
    const gemini = settingsAgents.find(({ id }) => id === 'gemini') ?? claude;
    const after = install(fixture(gemini), gemini);
    expect(after.replaceAll('\r\n', '')).not.toContain('\n');
    expect(after).toMatch(/\n\t\t"AfterTool"/);
  });

  it('are brought up to date in their place, beside what somebody has put there', () => {
    const old = {
      hooks: {
        Stop: [
          {
            matcher: 'x',
            hooks: [
              { type: 'command', command: 'mine' },
              { type: 'command', command: 'node', args: ['/old/hook.cjs', 'claude'] },
            ],
          },
        ],
      },
    };
    const after = install(JSON.stringify(old), claude);
    const { Stop } = (parse(after) as Settings).hooks;
    expect(Stop).toEqual([
      {
        matcher: 'x',
        hooks: [
          { type: 'command', command: 'mine' },
          {
            type: 'command',
            command: '/usr/bin/node',
            args: ['/opt/my tools/hook.cjs', 'claude'],
            timeout: 10,
          },
        ],
      },
    ]);
    const removed = parse(removeHooks(after, file)) as Settings;
    expect(removed.hooks).toEqual({
      Stop: [{ matcher: 'x', hooks: [{ type: 'command', command: 'mine' }] }],
    });
  });

  it('are asynchronous, but where Claude would kill them at its end', () => {
    const { hooks } = JSON.parse(install(undefined, claude)) as Settings;
    const awaited = Object.entries(hooks).filter(
      ([, value]) => !JSON.stringify(value).includes('"async":true'),
    );
    expect(awaited.map(([event]) => event).sort()).toEqual(['SessionEnd', 'Stop', 'SubagentStop']);
  });

  it('post events where that is wanted, but those that Claude cannot post, and go back to a program', () => {
    const url = 'http://127.0.0.1:4318/trace-console/hook/claude';
    const posting = addHooks(undefined, claude, { ...commandOf(claude), url }, file);
    const { hooks } = JSON.parse(posting) as Settings;
    const ofType = (type: string) =>
      Object.keys(hooks).filter((event) => JSON.stringify(hooks[event]).includes(`"${type}"`));
    expect(ofType('command').sort()).toEqual(['SessionStart', 'Setup']);
    expect(ofType('http')).toHaveLength(30);
    expect(hooks.Stop).toEqual([{ hooks: [{ type: 'http', url, timeout: 10 }] }]);
    expect(JSON.parse(install(posting, claude))).toEqual(JSON.parse(install(undefined, claude)));
    expect(JSON.parse(removeHooks(posting, file))).toEqual({});
  });

  it('are never those that would change what an agent does', () => {
    const events = settingsAgents.flatMap((agent) => agent.events);
    expect(events).not.toContain('WorktreeCreate');
    expect(events).not.toContain('MessageDisplay');
    expect(events).not.toContain('AfterModel');
    expect(events).not.toContain('beforeReadFile');
  });

  it.each([
    ['broken JSON', '{\n  "model": "x",\n  "hooks": {', /line 3/],
    ['a list', '[]', /no object/],
    ['hooks that are no object', '{"hooks": []}', /"hooks" is no object/],
  ])('are not put into %s', (_, text, message) => {
    expect(() => install(text, claude)).toThrow(message);
  });
});

describe.each([claude, agentById('gemini') as SettingsAgent])(
  'the telemetry of $title',
  (agent) => {
    const telemetry = agent.telemetry ?? { under: '', values: {}, endpoint: '' };
    const { under, values, optional = {}, endpoint }: TelemetrySettings = telemetry;
    const url = 'http://127.0.0.1:4318';
    const to = { url, former: undefined };
    const remove = (text: string, former?: string) =>
      removeTelemetry(text, telemetry, { urls: [url], former }, file);
    const there = (text: string) => (parse(text) as Record<string, unknown>)[under];

    it('is switched on beside what is there, once, and off again', () => {
      const before = `{\n  // mine\n  "${under}": { "FOO": "1" },\n  "model": "opus"\n}\n`;
      const after = addTelemetry(before, agent, to, file);
      expect(there(after)).toEqual({ FOO: '1', ...values, ...optional, [endpoint]: url });
      expect(after).toContain('// mine');
      expect(addTelemetry(after, agent, to, file)).toBe(after);
      expect(there(remove(after))).toEqual({ FOO: '1' });
      const made = addTelemetry('{}\n', agent, to, file);
      expect(parse(remove(made))).toEqual({});
    });

    it('goes elsewhere with the collector, and leaves what was there before us', () => {
      const after = addTelemetry('{}\n', agent, to, file);
      const moved = { url: 'http://127.0.0.1:4999', former: url };
      expect(there(addTelemetry(after, agent, moved, file))).toMatchObject({
        [endpoint]: moved.url,
      });
      expect(() => addTelemetry(after, agent, { ...moved, former: undefined }, file)).toThrow();
      const empty = `{\n  "${under}": {}\n}\n`;
      expect(remove(addTelemetry(empty, agent, to, file), empty)).toBe(empty);
      const [[name, value] = ['', '']] = Object.entries(values);
      const some = JSON.stringify({ [under]: { [name]: value } });
      expect(parse(remove(addTelemetry(some, agent, to, file), some))).toEqual(parse(some));
    });

    it('is left alone where it goes to somebody else', () => {
      const text = JSON.stringify({ [under]: { ...values, [endpoint]: 'http://elsewhere:4318' } });
      expect(() => addTelemetry(text, agent, to, file)).toThrow(endpoint);
      expect(remove(text)).toBe(text);
    });
  },
);

describe('the telemetry of Codex', () => {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-codex-'));
  afterAll(() => fs.rmSync(home, { recursive: true, force: true }));
  const surroundings = { home, project: home, environment: {} };
  const codex = agentById('codex');
  const config = path.join(home, '.codex/config.toml');
  const change = (isWanted: boolean) => {
    const changes = planTelemetryFile(
      codex,
      surroundings,
      isWanted ? 'http://127.0.0.1:4318' : undefined,
    );
    for (const each of changes) applyChange(each, surroundings);
    return fs.existsSync(config) ? fs.readFileSync(config, 'utf8') : undefined;
  };

  it.each([
    ['a file without an end of line', 'model = "gpt-5.5" # mine\n\n[features]\nhooks = true'],
    ['a file', 'model = "gpt-5.5"\n'],
    ['no file', undefined],
  ])('stands in a table of its own, once, and %s comes back as it was', (_, before) => {
    fs.mkdirSync(path.dirname(config), { recursive: true });
    fs.rmSync(config, { force: true });
    if (before !== undefined) fs.writeFileSync(config, before);
    const after = change(true) ?? '';
    expect(after.startsWith(before ?? '')).toBe(true);
    expect(parseToml(after)).toMatchObject({
      otel: {
        exporter: {
          'otlp-http': { endpoint: 'http://127.0.0.1:4318/v1/logs', protocol: 'binary' },
        },
      },
    });
    expect(change(true)).toBe(after);
    expect(change(false)).toBe(before);
    expect(planTelemetryFile(codex, surroundings, undefined)).toEqual([]);
    // What somebody has added meanwhile stays.
    change(true);
    fs.appendFileSync(config, '[more]\nx = 1\n');
    expect(parseToml(change(false) ?? '')).toEqual({ ...parseToml(before ?? ''), more: { x: 1 } });
  });

  it('is left alone where it goes to somebody else', () => {
    fs.writeFileSync(config, '[otel]\nexporter = "otlp-grpc"\n');
    expect(() => change(true)).toThrow('[otel]');
  });
});
