import { expect, it } from 'vitest';
import { parseConnectionString } from '../../../src/db/connection/conninfo.js';
import { resolveSource, type ServerSource } from '../../../src/db/connection/source.js';
import { Database } from '../../../src/db/database.js';
import { testServer } from '../../helpers/server.js';

function source(parameters: string, environment = {}): ServerSource {
  const url = `${testServer().adminUrl}?${parameters}`;
  return resolveSource({ url, environment }) as ServerSource;
}

async function opens(parameters: string): Promise<true | string> {
  try {
    const database = await Database.open(source(parameters));
    await database.close();
    return true;
  } catch (error) {
    return (error as Error).message;
  }
}

it.each([
  'gssencmode=require',
  'gssencmode=foo',
  'requirepeer=postgres',
  'sslcrldir=/crls',
  'sslcertmode=require',
  'sslsni=0',
  'sslnegotiation=foo',
  'sslnegotiation=direct',
  'sslnegotiation=direct&sslmode=prefer',
  'target_session_attrs=foo',
  'load_balance_hosts=foo',
  'min_protocol_version=3.2',
  'replication=database',
])('refuses %s by its name, which would be without effect', (parameter) => {
  const [name = ''] = parameter.split('=');
  expect(() => source(parameter)).toThrow(
    expect.objectContaining({
      code: 'connection_source_invalid',
      message: expect.stringContaining(name) as string,
    }) as Error,
  );
});

it('heeds the variables of libpq, too', () => {
  expect(() => source('', { PGGSSENCMODE: 'require' })).toThrow(/gssencmode/);
  expect(() => source('', { PGREQUIREPEER: 'root' })).toThrow(/requirepeer/);
  expect(source('', { PGTARGETSESSIONATTRS: 'any' }).parameters.target_session_attrs).toBe('any');
});

it('sends no password where the server asks in a way that require_auth does not allow', async () => {
  // The shared server asks for SCRAM.
  expect(await opens('require_auth=scram-sha-256')).toBe(true);
  expect(await opens('require_auth=!password,!md5')).toBe(true);
  expect(await opens('require_auth=md5')).toMatch(/authentication by scram-sha-256/);
  expect(await opens('require_auth=!scram-sha-256')).toMatch(/authentication by scram-sha-256/);
  expect(await opens('require_auth=none')).toMatch(/authentication by scram-sha-256/);
  expect(await opens('require_auth=foo')).toMatch(/require_auth "foo" is not known/);
});

it('demands channel binding where that is required', async () => {
  expect(await opens('channel_binding=require&sslmode=disable')).toMatch(/no channel binding/);
  expect(await opens('channel_binding=prefer')).toBe(true);
});

it('takes only a server that is what target_session_attrs asks for', async () => {
  for (const wanted of ['any', 'primary', 'read-write', 'prefer-standby']) {
    expect(await opens(`target_session_attrs=${wanted}`)).toBe(true);
  }
  for (const wanted of ['standby', 'read-only']) {
    expect(await opens(`target_session_attrs=${wanted}`)).toMatch(/is a primary/);
  }
});

it('opens a database whatever its name holds, percent-encoded', () => {
  const name = 'a;b&c=d@e/f+g,h#i?j%k l';
  const url = `postgresql://u@h/${encodeURIComponent(name)}?application_name=a+b`;
  expect(parseConnectionString(url, 'url')).toMatchObject({
    dbname: name,
    application_name: 'a+b',
  });
});
