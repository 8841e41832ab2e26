import { describe, expect, test } from 'vitest';
import { parseTimeout, statementFacts } from '../../../src/embedded/mux/statement-facts.js';

describe('session settings', () => {
  test.each([
    ["SET work_mem = '5MB'", true],
    ['set session search_path to a, b', true],
    ['SET LOCAL work_mem = 1', false],
    ['SET TRANSACTION READ ONLY', false],
    ['SET CONSTRAINTS ALL DEFERRED', false],
    ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', true],
    ['RESET ALL', true],
    ["SELECT set_config('a.b', 'c', false)", true],
    ["SELECT set_config('a.b', (SELECT max(x) FROM f(1, 2)), true)", false],
    ['SELECT set_config($1, $2, $3)', true],
    ["SELECT pg_catalog.set_config('a.b', 'c', true), set_config('d', 'e', false)", true],
    ['DO $$ BEGIN END $$', true],
    ['UPDATE t SET a = 1', false],
    ["SELECT 'SET work_mem = 1; '", false],
    ['-- SET work_mem = 1\nSELECT 1', false],
    ['SELECT 1; SET work_mem = 1', true],
  ])('%s changes the session: %s', (sql, expected) => {
    expect(statementFacts(sql).settings).toBe(expected);
  });

  test('names the custom ones', () => {
    expect(statementFacts('SET app.tenant = 1').customSettings).toEqual(['app.tenant']);
    expect(statementFacts("SELECT set_config('app.user', 'x', false)").customSettings).toEqual([
      'app.user',
    ]);
  });
});

describe('statement_timeout', () => {
  test.each([
    ["SET LOCAL statement_timeout = '2s'", 2_000],
    ['SET statement_timeout TO 250', 250],
    ['SET SESSION statement_timeout = 0', 0],
    [
      "BEGIN; SET LOCAL statement_timeout = '1min'; SET LOCAL statement_timeout = 5; SELECT 1",
      60_000,
    ],
    ['SET statement_timeout TO DEFAULT', undefined],
    ['SELECT 1', undefined],
  ])('%s is %s ms', (sql, expected) => {
    expect(statementFacts(sql).timeoutMs).toBe(expected);
  });

  test.each([
    ['5', 5],
    ['1.5s', 1_500],
    [' 2 min ', 120_000],
    ['1h', 3_600_000],
    ['never', undefined],
  ])('reads %s as %s', (text, expected) => {
    expect(parseTimeout(text)).toBe(expected);
  });
});

describe('names of prepared statements', () => {
  test.each([
    ['PREPARE a AS SELECT 1', 'a'],
    ['EXECUTE "A b"(1)', 'A b'],
    ['DEALLOCATE PREPARE a', 'a'],
    ['EXPLAIN (ANALYZE, COSTS off) EXECUTE a', 'a'],
    ['CREATE TABLE t AS EXECUTE a', 'a'],
    ['DEALLOCATE ALL', undefined],
    ["PREPARE TRANSACTION 'x'", undefined],
    ['CREATE TRIGGER t BEFORE UPDATE ON x FOR EACH ROW EXECUTE FUNCTION f()', undefined],
  ])('%s names %s', (sql, expected) => {
    const { names } = statementFacts(sql);
    expect(names.map(({ name }) => name)).toEqual(expected === undefined ? [] : [expected]);
    for (const { start, end, name } of names) {
      expect(sql.slice(start, end).replaceAll('"', '')).toBe(name);
    }
  });
});

test('finds the channels of LISTEN and UNLISTEN in their order', () => {
  const { listens } = statementFacts('LISTEN News; UNLISTEN "News"; UNLISTEN *; listen b');
  expect(listens).toEqual([
    { listen: 'news' },
    { unlisten: 'News' },
    { unlistenAll: true },
    { listen: 'b' },
  ]);
});

test('sees the start of a transaction and temporary relations', () => {
  expect(statementFacts('begin').begins).toBe(true);
  expect(statementFacts('START TRANSACTION READ ONLY').begins).toBe(true);
  expect(statementFacts("SELECT 'begin'").begins).toBe(false);
  expect(statementFacts('CREATE TEMPORARY VIEW v AS SELECT 1').temporary).toBe(true);
  expect(statementFacts('CREATE TABLE pg_temp.t ()').temporary).toBe(true);
  expect(statementFacts('CREATE TABLE t ()').temporary).toBe(false);
});
