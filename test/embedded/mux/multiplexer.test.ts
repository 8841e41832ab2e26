import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Multiplexer } from '../../../src/embedded/mux/multiplexer.js';
import { message, RawClient, type Reply } from '../raw-client.js';
import { startMultiplexer } from './engine.js';

let multiplexer: Multiplexer;
let log: string[];
let stop: () => Promise<void>;

beforeAll(async () => {
  ({ multiplexer, log, stop } = await startMultiplexer({
    idleInTransactionContendedMs: 300,
    idleInTransactionMs: 60_000,
  }));
});

afterAll(() => stop());

const connect = (parameters?: Record<string, string>): Promise<RawClient> =>
  new RawClient(multiplexer, parameters).greeted();

test('greets with the engine’s own parameters and the settings the client asked for', async () => {
  const client = new RawClient(multiplexer, {
    application_name: 'greeted',
    client_encoding: 'UTF8',
  });
  const frames = await client.until('Z');
  const parameters = frames
    .filter(({ type }) => type === 'S')
    .map(({ bytes }) => bytes.toString('utf8', 5).split('\0').slice(0, 2).join('='));
  expect(parameters).toContain('application_name=greeted');
  expect(parameters).toContain('server_encoding=UTF8');
  expect(parameters.find((text) => text.startsWith('server_version='))).toMatch(/=18\./);
  expect(await client.value('SHOW application_name')).toBe('greeted');
  client.leave();
});

test('refuses another role and another database', () => {
  for (const [parameters, code] of [
    [{ user: 'authenticated' }, '28000'],
    [{ database: 'other' }, '3D000'],
    [{ replication: 'database' }, '0A000'],
  ] as const) {
    const client = new RawClient(multiplexer, parameters);
    expect(client.ended).toBe(true);
    expect(client.received[0]?.bytes.toString('latin1')).toContain(`C${code}`);
  }
});

test('answers statements, pipelines and errors in mid-pipeline as a server does', async () => {
  const client = await connect();
  await client.query('CREATE TABLE pipeline (a int)');
  const insert = (value: string) => [
    message.parse('INSERT INTO pipeline VALUES ($1::int)'),
    message.bind([value]),
    message.execute(),
  ];
  expect((await client.ask(...insert('1'), ...insert('2'), message.sync)).types).toBe('12C12CZ');
  const failed = await client.ask(...insert('3'), ...insert('x'), ...insert('4'), message.sync);
  expect(failed.error?.code).toBe('22P02');
  expect(failed.status).toBe('I');
  expect(await client.value('SELECT count(*) FROM pipeline')).toBe('2');
  client.send(
    ...insert('5'),
    message.sync,
    ...insert('6'),
    message.sync,
    message.query('SELECT 7'),
  );
  expect((await client.reply()).types).toBe('12CZ');
  expect((await client.reply()).types).toBe('12CZ');
  expect((await client.reply()).rows).toEqual([['7']]);
  client.leave();
});

test('answers a flush before the sync, and rolls the pipeline back as one transaction', async () => {
  const [client, other] = [await connect(), await connect()];
  await client.query('CREATE TABLE flushed (a int)');
  client.send(
    message.parse('INSERT INTO flushed VALUES (1)'),
    message.bind(),
    message.execute(),
    message.flush,
  );
  expect((await client.until('C')).map(({ type }) => type).join('')).toBe('12C');
  const waits = other.value('SELECT count(*) FROM flushed');
  client.send(message.parse('SELECT 1/0'), message.bind(), message.execute(), message.flush);
  await client.until('E');
  client.send(message.parse('SELECT 2'), message.flush);
  expect((await client.ask(message.sync)).types).toBe('Z');
  expect(await waits).toBe('0');
  client.leave();
  other.leave();
});

test('lets a transaction own the engine until it ends', async () => {
  const [first, second] = [await connect(), await connect()];
  await first.query('CREATE TABLE owned (a int)');
  expect((await first.query('BEGIN')).status).toBe('T');
  await first.query('INSERT INTO owned VALUES (1)');
  let answered = false;
  const count = second.value('SELECT count(*) FROM owned').then((value) => {
    answered = true;
    return value;
  });
  await first.query('INSERT INTO owned VALUES (2)');
  expect(answered).toBe(false);
  await first.query('COMMIT');
  expect(await count).toBe('2');
  first.leave();
  second.leave();
});

test('rolls back what a client leaves open', async () => {
  const [first, second] = [await connect(), await connect()];
  await first.query('CREATE TABLE left_open (a int)');
  await first.query('BEGIN; INSERT INTO left_open VALUES (1)');
  first.leave();
  expect(await second.value('SELECT count(*) FROM left_open')).toBe('0');
  second.leave();
});

test('ends a client that is idle in a transaction while others wait', async () => {
  const [idle, waiting] = [await connect(), await connect()];
  await idle.query('BEGIN');
  expect(await waiting.value('SELECT 1')).toBe('1');
  expect((await idle.reply()).error).toMatchObject({ code: '25P03', severity: 'FATAL' });
  expect(idle.ended).toBe(true);
  waiting.leave();
});

test('refuses COPY FROM STDIN however it is written, and goes on', async () => {
  const client = await connect();
  await client.query('CREATE TABLE copied (a int)');
  for (const sql of [
    'COPY copied FROM STDIN',
    'copy/* a comment */copied -- and another\nfrom stdin with (format csv)',
    'SELECT 1; COPY copied FROM STDIN; SELECT 2',
  ]) {
    const reply = await client.query(sql);
    expect(reply.error).toMatchObject({ code: '0A000' });
    expect(reply.types).not.toContain('G');
    expect(reply.status).toBe('I');
  }
  const extended = await client.ask(
    message.parse('COPY copied FROM STDIN'),
    message.bind(),
    message.execute(),
    message.sync,
  );
  expect(extended.error?.code).toBe('0A000');
  client.send(message.copyData('1\n'), message.copyDone);
  await client.query('BEGIN');
  expect((await client.query('COPY copied FROM STDIN')).status).toBe('E');
  await client.query('ROLLBACK');
  expect(await client.value('SELECT count(*) FROM copied')).toBe('0');
  const out = await client.query('COPY (SELECT 42) TO STDOUT');
  expect(out.types).toBe('HdcCZ');
  client.leave();
});

test('bears the idle time-outs in every spelling, with a warning where it is seen', async () => {
  const client = await connect();
  const names = [
    'idle_in_transaction_session_timeout',
    'transaction_timeout',
    'idle_session_timeout',
  ];
  for (const name of names) {
    const set = await client.query(`SET ${name} = '20ms'`);
    expect(set.warning).toContain('no effect');
    await client.query(`BEGIN; SET LOCAL ${name} TO 20`);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect((await client.query('COMMIT')).tags).toEqual(['COMMIT']);
    await client.query(`DO $$ BEGIN EXECUTE 'SET ' || '${name}' || ' = 20'; END $$`);
    await client.query(`SELECT set_config('${name}', '20', false)`);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(await client.value('SELECT 1')).toBe('1');
  }
  client.leave();
  const started = await connect({ options: '-c idle_session_timeout=20' });
  await started.query('SELECT 1');
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(await started.value('SELECT 2')).toBe('2');
  started.leave();
});

test('ends a runaway statement by its time-out, however that was set, without hurting others', async () => {
  const [runaway, other] = [await connect(), await connect()];
  const forever = 'SELECT count(*) FROM generate_series(1, 1000000000000)';
  await other.ask(message.parse('SELECT 5', 'kept'), message.sync);
  await other.query("SET work_mem = '6MB'; LISTEN after_restart");
  const spellings: (() => Promise<Reply>)[] = [
    () => runaway.query("SET statement_timeout = '200ms'"),
    () => runaway.query('BEGIN; SET LOCAL statement_timeout TO 200'),
    async () => {
      await runaway.query('BEGIN');
      const parts = [message.parse("SELECT set_config('statement_' || 'timeout', $1, true)")];
      return runaway.ask(...parts, message.bind(['200ms']), message.execute(), message.sync);
    },
  ];
  for (const set of spellings) {
    await set();
    const waits = other.value('SELECT 1');
    const reply = runaway.query(forever);
    expect((await reply).error).toMatchObject({ code: '57014' });
    await runaway.query('ROLLBACK');
    expect(await waits).toBe('1');
    await runaway.query('RESET statement_timeout');
  }
  const bound = await other.ask(message.bind([], 'kept'), message.execute(), message.sync);
  expect(bound.rows).toEqual([['5']]);
  expect(await other.value('SHOW work_mem')).toBe('6MB');
  await runaway.query('NOTIFY after_restart');
  expect(other.notifications.map(({ text }) => text)).toEqual(['after_restart:']);
  expect(log.join('\n')).toContain('engine restarted');
  runaway.leave();
  other.leave();
});

test('leaves a transaction that was lost with the engine failed until it is rolled back', async () => {
  const client = await connect();
  await client.query('CREATE TABLE lost (a int)');
  await client.query('BEGIN; INSERT INTO lost VALUES (1)');
  client.send(message.query('SELECT pg_sleep(60)'));
  await new Promise((resolve) => setTimeout(resolve, 100));
  multiplexer.cancel(client.session.processId, client.session.secret + 1);
  multiplexer.cancel(client.session.processId, client.session.secret);
  const reply = await client.reply();
  expect(reply.error?.code).toBe('57014');
  expect(reply.status).toBe('E');
  expect((await client.query('INSERT INTO lost VALUES (2)')).error?.code).toBe('25P02');
  expect((await client.query('COMMIT')).tags).toEqual(['ROLLBACK']);
  expect(await client.value('SELECT count(*) FROM lost')).toBe('0');
  client.leave();
});

test('takes a waiting statement out of the queue on a cancel, without a restart', async () => {
  const [busy, waiting] = [await connect(), await connect()];
  const before = multiplexer.restarts;
  await busy.query('BEGIN');
  waiting.send(message.query('SELECT 1'), message.query('SELECT 2'));
  multiplexer.cancel(waiting.session.processId, waiting.session.secret);
  expect((await waiting.reply()).error?.code).toBe('57014');
  await busy.query('COMMIT');
  expect((await waiting.reply()).rows).toEqual([['2']]);
  expect(multiplexer.restarts).toBe(before);
  busy.leave();
  waiting.leave();
});

test('restarts an engine that breaks, and says so to the client whose statement it was', async () => {
  const [client, other] = [await connect(), await connect()];
  await client.query('CREATE TABLE survives (a int); INSERT INTO survives VALUES (1)');
  // A number taken for a pointer: the engine reads outside of its memory and is gone.
  await client.query(
    "CREATE FUNCTION crash(int) RETURNS cstring LANGUAGE internal STRICT AS 'textout'",
  );
  expect((await client.query('SELECT crash(-16)')).error).toMatchObject({
    code: 'XX000',
    message: expect.stringContaining('memory access out of bounds') as string,
  });
  expect(log.join('\n')).toContain('the engine ended: memory access out of bounds');
  expect(await other.value('SELECT a FROM survives')).toBe('1');
  expect(await client.value('SELECT a FROM survives')).toBe('1');
  client.leave();
  other.leave();
});

test('answers JSON of 8,000 levels, or refuses it, and stays sound', async () => {
  const client = await connect();
  const deep = '['.repeat(8_000) + ']'.repeat(8_000);
  const reply = await client.query(`SELECT length('${deep}'::jsonb::text)`);
  expect(reply.error?.code ?? reply.rows[0]?.[0]).toMatch(/^(?:54001|16000)$/);
  const recursive = await client.query(
    'CREATE FUNCTION deeper(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN deeper(n + 1); END $$; SELECT deeper(1)',
  );
  expect(recursive.error?.code).toBe('54001');
  expect(await client.value('SELECT 1')).toBe('1');
  client.leave();
});

test('ends a connection that breaks the protocol, and no other', async () => {
  const [bad, good] = [await connect(), await connect()];
  bad.send(Buffer.from([0x51, 0xff, 0xff, 0xff, 0xff]));
  expect((await bad.reply()).error).toMatchObject({ code: '08P01', severity: 'FATAL' });
  expect(bad.ended).toBe(true);
  const unknown = await connect();
  unknown.send(Buffer.from([0x21, 0, 0, 0, 4]));
  expect((await unknown.reply()).error?.code).toBe('08P01');
  expect(await good.value('SELECT 1')).toBe('1');
  good.leave();
});
