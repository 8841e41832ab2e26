import { spawn } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { closeDatabases, openDatabase } from '../../demo/helpers.js';
import { createTestDatabase } from '../../helpers/database.js';
import { learnAll } from '../helpers.js';

const root = join(import.meta.dirname, '../../..');
let folder: string;

/** A project of somebody who installed the package. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'trace-console-router-'));
  const installed = join(folder, 'node_modules/trace-console');
  mkdirSync(installed, { recursive: true });
  cpSync(join(root, 'package.json'), join(installed, 'package.json'));
  symlinkSync(inject('programs'), join(installed, 'dist'));
  symlinkSync(join(root, 'node_modules/pg'), join(folder, 'node_modules/pg'));
  mkdirSync(join(folder, 'node_modules/@types'));
  for (const types of ['pg', 'node']) {
    symlinkSync(
      join(root, 'node_modules/@types', types),
      join(folder, 'node_modules/@types', types),
    );
  }
  writeFileSync(join(folder, 'package.json'), '{}');
  cpSync(join(root, 'examples/router/router.mts'), join(folder, 'router.mts'));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await closeDatabases();
});

test('the example has the types that the package gives', () => {
  const program = ts.createProgram([join(folder, 'router.mts')], {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
    typeRoots: [join(folder, 'node_modules/@types')],
  });
  const problems = ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
  expect(problems).toEqual([]);
});

test('the example decides, and keeps how it went', async () => {
  const database = await createTestDatabase();
  for (let n = 0; n < 3; n += 1) {
    await database.query(
      `WITH trace AS (
         INSERT INTO execution_traces (correlation_id, root_id, session_id, source, prompt_text, status)
         SELECT id, id, gen_random_uuid(), 'user_prompt', 'Make the flaky login test deterministic', 'completed'
         FROM gen_random_uuid() AS id RETURNING id)
       INSERT INTO agent_routing_decisions (trace_id, agent_selected, confidence_score, routing_strategy)
       SELECT id, 'tester', 1, 'explicit' FROM trace`,
    );
  }
  await learnAll(await openDatabase(database));
  const service = spawn(
    process.execPath,
    ['--import', join(root, 'node_modules/tsx/dist/loader.mjs'), 'router.mts'],
    {
      cwd: folder,
      env: { PATH: process.env.PATH, DATABASE_URL: database.url, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const ended = new Promise((resolve) => service.once('exit', resolve));
  let said = '';
  service.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  try {
    await expect.poll(() => said, { timeout: 30_000 }).toMatch(/listening on \S+\n/);
    const address = /listening on (\S+)/.exec(said)?.[1] ?? '';
    const post = async (path: string, body: object) => {
      const answer = await fetch(`${address}${path}`, {
        method: 'POST',
        body: JSON.stringify(body),
      });
      return (await answer.json()) as Record<string, unknown>;
    };
    const decision = await post('/decide', {
      prompt: 'The flaky login test: make it deterministic',
    });
    expect(decision).toMatchObject({ agent: 'tester', strategy: 'learned_pattern' });
    const { correlationId } = decision;
    expect(
      await post('/finish', { correlationId, outcome: 'success', durationMs: 10 }),
    ).toMatchObject({ kept: true });
    const { rows } = await database.query(
      'SELECT outcome FROM pattern_usage_log WHERE correlation_id = $1',
      [correlationId],
    );
    expect(rows).toEqual([{ outcome: 'success' }]);
    // Where nothing is known the caller decides; the turn ends all the same.
    const unknown = await post('/decide', { prompt: 'Translate the poem into Finnish' });
    expect(unknown).toMatchObject({ agent: null });
    expect(
      await post('/finish', { correlationId: unknown.correlationId, outcome: 'success' }),
    ).toMatchObject({ kept: false, ended: true });
    expect(await post('/decide', {})).toEqual({ error: 'A decision needs the text "prompt".' });
  } finally {
    service.kill('SIGTERM');
    await ended;
  }
});

test('the statements of the example in Python take the types that psycopg sends', async () => {
  const text = readFileSync(join(root, 'examples/router/router.py'), 'utf8');
  const statements = [
    ...text.matchAll(/"""\s*((?:SELECT|WITH) [^"]+)"""|"((?:SELECT|UPDATE) [^"]+)"/g),
  ];
  // A text goes without a type, a UUID, a float and an int with theirs.
  const sent = [
    ['unknown', 'float8', 'unknown'],
    ['uuid', 'unknown', 'unknown', 'float8', 'unknown', 'unknown', 'uuid'],
    ['unknown', 'int4', 'uuid'],
    ['uuid', 'unknown', 'uuid', 'float8', 'int4'],
  ];
  expect(statements).toHaveLength(sent.length);
  const database = await createTestDatabase();
  for (const [index, [, long, short = '']] of statements.entries()) {
    const names: string[] = [];
    const numbered = (long ?? short).replaceAll(/%(?:\((\w+)\))?s/g, (_, name?: string) => {
      const known = name === undefined ? -1 : names.indexOf(name);
      return `$${known < 0 ? names.push(name ?? '') : known + 1}`;
    });
    await database.query(`PREPARE example_${index} (${sent[index]?.join(', ')}) AS ${numbered}`);
  }
});
