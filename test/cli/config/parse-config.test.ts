import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../../src/cli/config/read-config.js';
import { configLocation } from '../../../src/core/folders.js';
import { parseConfig } from '../../../src/cli/config/parse-config.js';
import { ConsoleError } from '../../../src/db/errors.js';

const file = '/etc/console/config.toml';

function problem(toml: string): string {
  try {
    parseConfig(toml, file);
  } catch (error) {
    if (error instanceof ConsoleError && error.code === 'usage') return error.message;
    throw error;
  }
  throw new Error('the config was taken');
}

describe('a config file', () => {
  it('sets what the console begins with, and names connections', () => {
    const config = parseConfig(
      `interval = "7s"
       window = "90m"
       theme = "light"
       connection = "prod"
       [connections.prod]
       url = "postgresql://ops@db.example/traces?sslmode=verify-full"
       production = true
       read-only = true
       colour = "red"
       pool-size = 8
       interval = "10s"
       [connections.laptop]
       data-dir = "~/traces"
       [connections.staging]
       env-file = "staging.env"
       schema = "agents"`,
      file,
    );
    expect(config).toMatchObject({
      intervalMs: 7_000,
      windowMs: 5_400_000,
      theme: 'light',
      connection: 'prod',
    });
    expect(config.connections.get('prod')).toEqual({
      name: 'prod',
      url: 'postgresql://ops@db.example/traces?sslmode=verify-full',
      production: true,
      readOnly: true,
      colour: 'red',
      poolSize: 8,
      intervalMs: 10_000,
    });
    expect(config.connections.get('laptop')).toMatchObject({ dataDir: join(homedir(), 'traces') });
    expect(config.connections.get('staging')).toMatchObject({
      envFile: '/etc/console/staging.env',
      schema: 'agents',
      production: false,
      colour: 'cyan',
    });
  });

  it('has the collector take telemetry by TLS, and send metrics', () => {
    const toml = `[collect]
      tls-cert = "keys/cert.pem"
      tls-key = "/etc/key.pem"
      metrics-to = "https://metrics.example"
      metrics-every = "5m"`;
    expect(parseConfig(toml, file)).toMatchObject({
      collectTls: { cert: join(dirname(file), 'keys/cert.pem'), key: '/etc/key.pem' },
      collectMetrics: { url: 'https://metrics.example', everyMs: 300_000 },
    });
  });

  it('may be empty', () => {
    expect(parseConfig('', file)).toEqual({ file, connections: new Map() });
  });

  it.each([
    ['intervall = "5s"', 'intervall is no setting'],
    ['interval = "7h 30"', 'interval takes 500ms to 1d'],
    ['interval = "100ms"', 'interval takes 500ms to 1d'],
    ['window = "2s"', 'window takes 10s to 366d'],
    ['theme = "pink"', 'theme takes one of terminal, dark, light'],
    ['connection = "prod"', 'connection names "prod", which is not among'],
    ['connection = "toString"', 'connection names "toString", which is not among'],
    ['[collect]\nconnection = "constructor"', 'names "constructor", which is not among'],
    ['[connections.prod]\ncolor = "red"', 'connections.prod.color is no setting'],
    ['[connections.prod]\nread-only = "yes"', 'connections.prod.read-only takes true or false'],
    ['[connections.prod]\npool-size = 50', 'connections.prod.pool-size is at most 20'],
    ['[connections.status]', 'connections.status has the name of a command'],
    ['[connections."a b"]', 'connections.a b is no usable name'],
    ['[connections.a]\nurl = "host=x"\ndata-dir = "y"', 'connections.a names two databases'],
    ['connections = 3', 'connections takes'],
    ['[collect]\nlisten = "here"', 'collect.listen takes HOST:PORT'],
    ['[collect]\ntls-cert = "a.pem"', 'collect.tls-cert needs tls-key'],
    ['[collect]\nmetrics-to = "here"', 'collect.metrics-to takes a URL'],
    ['[collect]\nmetrics-every = "1s"', 'collect.metrics-every takes a time of 10 seconds'],
    ['[usage]\nbudget-usd-per-day = 0', 'usage.budget-usd-per-day is more than 0'],
    ['[alerts.rules.a]\npane = "nonsense"\nwhen = "x"', 'alerts.rules.a.pane takes one of'],
    [
      '[alerts.rules.a]\npane = "slow-hooks"\nwhen = "p96>5s"',
      'alerts.rules.a.when cannot be read: no column p96',
    ],
    ['[keys]\nreindex = "a"', 'keys.reindex and archive-traces are both a'],
    ['[keys]\nreindex = 3', 'keys.reindex takes a key'],
    ['\n\ninterval = ', 'config.toml, line 3: '],
  ])('%j is refused: %s', (toml, message) => {
    expect(problem(toml)).toContain(message);
  });

  it('never repeats a password in a message', () => {
    const secret = 'hunter2-and-more';
    for (const toml of [
      `[connections.a]\nurl = "postgresql://u:${secret}@h/d" x`,
      `[connections.a]\nurl = "postgresql://u:${secret}@h/d?nonsense=1"`,
    ]) {
      let message = '';
      try {
        parseConfig(toml, file);
      } catch (error) {
        message = error instanceof ConsoleError ? `${error.message} ${error.hint}` : 'other';
      }
      expect(message).not.toBe('');
      expect(message).not.toContain(secret);
    }
  });

  it('holds a password only while nobody else can read it', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'trace-console-config-')), 'config.toml');
    writeFileSync(path, '[connections.a]\nurl = "postgresql://u:hunter2@h/d"\n');
    chmodSync(path, 0o644);
    await expect(readConfig(path)).rejects.toMatchObject({
      code: 'usage',
      hint: expect.stringContaining('chmod 600') as string,
    });
    chmodSync(path, 0o600);
    expect((await readConfig(path)).connections.get('a')).toMatchObject({ name: 'a' });
  });
});

describe('where the config file is', () => {
  it('goes from the flag over the variable to the XDG folder', () => {
    const environment = { TRACE_CONSOLE_CONFIG: '/b.toml', XDG_CONFIG_HOME: '/x' };
    expect(configLocation('/a.toml', environment)).toEqual({ file: '/a.toml', named: true });
    expect(configLocation(undefined, environment)).toEqual({ file: '/b.toml', named: true });
    expect(configLocation(undefined, { XDG_CONFIG_HOME: '/x' })).toEqual({
      file: '/x/trace-console/config.toml',
      named: false,
    });
    const relative = { HOME: '/home/ada', XDG_CONFIG_HOME: 'relative' };
    expect(configLocation(undefined, relative)?.file).toBe(
      '/home/ada/.config/trace-console/config.toml',
    );
  });

  it('need not have one, but a file that was named must be there', async () => {
    await expect(readConfig('/nowhere/config.toml')).rejects.toMatchObject({ code: 'usage' });
  });
});
