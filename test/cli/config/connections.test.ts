import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase } from '../../helpers/database.js';

type Status = { database: { name: string }; error?: { message: string; hint: string } };

async function configFor(more = ''): Promise<{ config: string; database: string }> {
  const { url, name } = await createTestDatabase();
  const config = join(mkdtempSync(join(tmpdir(), 'trace-console-config-')), 'config.toml');
  writeFileSync(config, `${more}\n[connections.team]\nurl = "${url}"\nread-only = true\n`, {
    mode: 0o600,
  });
  return { config, database: name };
}

describe('a named connection', () => {
  it('is used by its name alone, before a command, and by the flag', async () => {
    const { config, database } = await configFor();
    for (const args of [
      ['team', '--json'],
      ['team', 'status', '--json'],
      ['status', '--connection', 'team', '--json'],
    ]) {
      const { stdout, exitCode } = await runCli([...args, '--config', config]);
      expect(exitCode, args.join(' ')).toBe(0);
      expect(JSON.stringify((JSON.parse(stdout) as Status).database)).toContain(database);
    }
  });

  it('keeps its read-only flag for every command', async () => {
    const { config } = await configFor();
    const { stderr, exitCode } = await runCli(['team', 'archive', '--yes', '--config', config]);
    expect(exitCode).toBe(4);
    expect(stderr).toContain('read-only');
  });

  it('is the usual one where neither flags nor environment name another', async () => {
    const { config, database } = await configFor('connection = "team"');
    const args = ['status', '--json', '--config', config];
    expect((await runCli(args)).stdout).toContain(database);
    const other = await createTestDatabase();
    const { stdout } = await runCli(args, { env: { DATABASE_URL: other.url } });
    expect(stdout).toContain(other.name);
  });

  it('that is unknown is an error that names those there are', async () => {
    const { config } = await configFor();
    const { stderr, exitCode } = await runCli(['--connection', 'x', 'status', '--config', config]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('There is no connection "x"');
    expect(stderr).toContain('Connections: team');
  });

  it('and a URL are two databases', async () => {
    const { config } = await configFor();
    const args = ['team', 'status', '--url', 'host=x', '--config', config];
    expect(await runCli(args)).toMatchObject({ exitCode: 2 });
  });
});
