import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  processEnvironment,
  resolveSource,
  type ServerSource,
} from '../../../src/db/connection/source.js';
import { ConsoleError } from '../../../src/db/errors.js';

const all = {
  DATABASE_URL: 'postgresql://a@first:1111/one',
  TRACEABILITY_DB_URL_EXTERNAL: 'postgresql://b@second:2222/two',
  TRACEABILITY_DB_URL: 'postgresql://c@third:3333/three',
  PGHOST: 'fourth',
  PGPORT: '4444',
  POSTGRES_HOST: 'fifth',
  POSTGRES_PORT: '5555',
};

function server(options: Parameters<typeof resolveSource>[0]): ServerSource {
  const source = resolveSource(options);
  if (source.kind !== 'server') throw new Error('expected a server');
  return source;
}

function file(name: string, text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'trace-console-source-')), name);
  writeFileSync(path, text);
  return path;
}

describe('the order of sources', () => {
  it('takes the first that is set, from the flag down to the embedded database; an empty one is unset', () => {
    const environment: Record<string, string> = { ...all };
    const seen = [server({ url: 'postgresql://x@flag:9/zero', environment }).host];
    for (const name of Object.keys(all).filter((key) => !key.endsWith('_PORT'))) {
      if (name === 'PGPORT') continue;
      seen.push(server({ environment: processEnvironment(environment) }).host);
      for (const used of name === 'PGHOST' ? ['PGHOST', 'PGPORT'] : [name]) {
        environment[used] = '';
      }
    }
    expect(seen).toEqual(['flag', 'first', 'second', 'third', 'fourth', 'fifth']);
    expect(resolveSource({ environment: {} })).toEqual({ kind: 'embedded', origin: 'embedded' });
  });

  it('says where the address came from', () => {
    expect(server({ url: 'postgresql://h/d', environment: {} }).origin).toBe('--url');
    expect(server({ environment: { PGDATABASE: 'd' } }).origin).toBe('PG*');
    expect(server({ environment: { POSTGRES_HOST: 'h' } }).origin).toBe('POSTGRES_*');
  });

  it('does not let a password or a TLS mode alone choose a server', () => {
    expect(resolveSource({ environment: { PGPASSWORD: 'x', PGSSLMODE: 'require' } }).kind).toBe(
      'embedded',
    );
  });

  it('asks the file of --env-file before the environment, whatever stands in either', () => {
    const envFile = file(
      'env',
      'PASS=p%40ss\nDATABASE_URL=\nTRACEABILITY_DB_URL=postgresql://u:${PASS}@fromfile:5436/d\n',
    );
    const source = server({ envFile, environment: all });
    expect(source).toMatchObject({ host: 'fromfile', port: 5436, password: 'p@ss' });
    expect(source.origin).toBe('TRACEABILITY_DB_URL');
  });

  it('refuses a file that names no database, whatever the environment names', () => {
    const named = file('env', 'DATABASE_URL=\nCOLOUR=red\n');
    expect(() => resolveSource({ envFile: named, environment: all })).toThrow(/names no database/);
    // With a URL it may hold the rest.
    const rest = file('env', 'PGPASSWORD=from-the-file\n');
    expect(server({ url: 'postgresql://u@h/d', envFile: rest })).toMatchObject({
      password: 'from-the-file',
    });
  });

  it('refuses a file that is not there, with a usage error', () => {
    expect(() => resolveSource({ envFile: '/nowhere/.env', environment: {} })).toThrow(
      expect.objectContaining({ code: 'usage', exitCode: 2 }) as Error,
    );
  });
});

describe('connection strings', () => {
  it('decodes what a URL encodes and keeps unknown parameters', () => {
    const source = server({
      url: 'postgres://me%40corp:a%2Fb%23c@db.example.org:6000/my%20db?sslmode=verify-full&connect_timeout=3',
      environment: {},
    });
    expect(source).toMatchObject({
      user: 'me@corp',
      password: 'a/b#c',
      host: 'db.example.org',
      port: 6000,
      database: 'my db',
      connectTimeoutMs: 3000,
      parameters: { sslmode: 'verify-full' },
    });
  });

  it('reads keyword=value pairs with quotes and escapes', () => {
    const source = server({
      url: String.raw`host=/run/pg  port=5433 dbname='my db' password='it\'s' user = me`,
      environment: {},
    });
    expect(source).toMatchObject({
      host: '/run/pg',
      port: 5433,
      database: 'my db',
      password: "it's",
      user: 'me',
    });
  });

  it('dials hostaddr, and keeps the name for TLS and the password file', () => {
    const source = server({
      url: 'host=db.example.org hostaddr=10.0.0.1 dbname=d',
      environment: {},
    });
    expect(source).toMatchObject({ host: 'db.example.org', hostAddress: '10.0.0.1' });
    expect(server({ url: 'hostaddr=10.0.0.1 dbname=d', environment: {} }).host).toBe('10.0.0.1');
  });

  it('reads the address of an IPv6 host and of a unix socket', () => {
    expect(server({ url: 'postgresql://u@[::1]:5/d', environment: {} }).host).toBe('::1');
    expect(server({ url: 'postgresql:///d?host=/run/pg', environment: {} })).toMatchObject({
      host: '/run/pg',
      database: 'd',
    });
  });

  it('reads several hosts as libpq does', () => {
    const servers = (url: string) => server({ url, environment: {} }).servers;
    const two = [
      { host: 'a', port: 1 },
      { host: '::1', port: 5432 },
    ];
    expect(servers('postgresql://u:p%40ss@a:1,[::1]/d?target_session_attrs=primary')).toEqual(two);
    expect(servers('host=a,::1 port=1, dbname=d')).toEqual(two);
    expect(servers('host=a,b port=7 dbname=d')?.map(({ port }) => port)).toEqual([7, 7]);
    expect(servers('host=a,b hostaddr=10.0.0.1,10.0.0.2')?.[1]).toEqual({
      host: 'b',
      hostAddress: '10.0.0.2',
      port: 5432,
    });
    expect(server({ url: 'postgresql://u:p%40ss@a:1,b/d', environment: {} })).toMatchObject({
      host: 'a',
      port: 1,
      password: 'p@ss',
      database: 'd',
    });
    expect(servers('postgresql://u@a/d')).toBeUndefined();
  });

  it.each([
    ['nonsense', 'nonsense:secret'],
    ['a broken URL', 'postgresql://u:sec%ret@h:port/d'],
    ['more ports than hosts', 'host=a,b port=1,2,3 user=u password=secret'],
    ['a port out of range', 'postgresql://u:secret@h:99999/d'],
    ['an empty value', ' '],
    ['a misspelt parameter', 'postgresql://u:secret@h/d?sslmod=verify-full'],
    ['a misspelt keyword', 'host=h pasword=secret'],
    ['an unescaped # in the password', 'postgresql://u:12#secret@h/d'],
    ['an unescaped / in the password', 'postgresql://u:1/secret@h/d'],
  ])('refuses %s without repeating the string', (_, url) => {
    const error = thrownBy(() => resolveSource({ url, environment: {} }));
    expect(error.exitCode).toBe(2);
    expect(error.hint).toBeTruthy();
    expect(JSON.stringify([error.message, error.hint])).not.toContain('secret');
  });
});

describe('defaults as libpq has them', () => {
  it('fills what the URL leaves open from PG*, and the database from the user', () => {
    const source = server({
      url: 'postgresql://h',
      environment: { PGUSER: 'me', PGPASSWORD: 'pw', PGSSLMODE: 'require', PGCONNECT_TIMEOUT: '7' },
    });
    expect(source).toMatchObject({
      user: 'me',
      database: 'me',
      password: 'pw',
      connectTimeoutMs: 7000,
      parameters: { sslmode: 'require' },
    });
    expect(server({ url: 'postgresql://h', environment: {} }).user).toBe(userInfo().username);
  });

  it('reads a service, from PGSERVICE or the connection string, under what is given itself', () => {
    const PGSERVICEFILE = file(
      'pg_service.conf',
      '# mine\n[prod]\nhost=prod.example.org\nport=6432\ndbname=traces\nuser=ops\n[other]\nhost=x\n',
    );
    expect(server({ environment: { PGSERVICE: 'prod', PGSERVICEFILE } })).toMatchObject({
      origin: 'PG*',
      host: 'prod.example.org',
      port: 6432,
      database: 'traces',
      user: 'ops',
    });
    expect(
      server({ url: 'service=prod dbname=mine', environment: { PGSERVICEFILE } }),
    ).toMatchObject({ host: 'prod.example.org', database: 'mine' });
  });

  it('says which files lack the service', () => {
    const error = thrownBy(() =>
      resolveSource({ environment: { PGSERVICE: 'gone', PGSERVICEFILE: file('s', '[a]\n') } }),
    );
    expect(error.code).toBe('connection_source_invalid');
    expect(error.hint).toContain('pg_service.conf');
  });
});

function thrownBy(action: () => unknown): ConsoleError {
  try {
    action();
  } catch (error) {
    if (error instanceof ConsoleError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
