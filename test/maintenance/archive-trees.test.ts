import { mkdtempSync, readFileSync, rmSync, writeFileSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import {
  chooseTrees,
  columnsByTable,
  countTrees,
  nextTrees,
  type TreeCursor,
} from '../../src/maintenance/archive/trees.js';
import type { ActionName, InputOf } from '../../src/maintenance/registry.js';
import { previewAction, runAction } from '../../src/maintenance/registry.js';
import { runCli } from '../helpers/cli.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { openDatabase } from '../panes/open.js';
import { addTrace, archiveAll, contents, counts } from '../schema/helpers/trace-rows.js';
import { collect } from './helpers.js';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'trace-console-archive-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

/** Three archived trees, one of them with a child, with values that are easily lost on the way. */
async function archived(test: TestDatabase): Promise<void> {
  await addTrace(test, { tree: 'one' });
  await addTrace(test, { tree: 'one', trace: 'child', parent: 'root' });
  await addTrace(test, { tree: 'two', status: 'failed' });
  await addTrace(test, { tree: 'three' });
  await test.query(`
    UPDATE execution_traces SET prompt_text = prompt_text || E' line\\n\\u2028 separator \\u0085 "quoted" \\\\ é 🙂', cost_usd = 0.100000,
      context = '{"n": 1.50, "big": 12345678901234567890123}', tags = ARRAY['a b', NULL, 'c,"d"'];
    UPDATE execution_traces SET context = 'null', started_at = started_at + interval '1 microsecond' WHERE status = 'failed';
    UPDATE agent_routing_decisions SET query_embedding =
      (SELECT array_agg(random()::real) FROM generate_series(1, 1536))::vector, confidence_breakdown = 'null';
    UPDATE hook_executions SET output_data = '"\\u001b[31m text"', modifications_made = '[]';
    INSERT INTO success_patterns (pattern_hash, intent_classification) VALUES ('p', 'test');
    INSERT INTO pattern_usage_log (pattern_id, trace_id) SELECT p.id, t.id FROM success_patterns p, execution_traces t`);
}

async function usageLinks(test: TestDatabase): Promise<string[]> {
  const { rows } = await test.query<{ link: string }>(
    `SELECT l.id || ' ' || COALESCE(l.trace_id::text, '-') AS link FROM pattern_usage_log l ORDER BY 1`,
  );
  return rows.map(({ link }) => link);
}

/** Everything in one place, as a checksum: live or archived makes no difference to it, archived_at does. */
async function archiveContents(test: TestDatabase): Promise<string> {
  const { rows } = await test.query<{ rows: string }>(
    ['execution_traces', 'agent_routing_decisions', 'hook_executions', 'endpoint_calls']
      .map(
        (table) =>
          `SELECT md5(string_agg(a::text, '' ORDER BY id)) AS rows FROM ${table}_archive a`,
      )
      .join(' UNION ALL '),
  );
  return rows.map((row) => row.rows).join();
}

async function act<Name extends ActionName>(test: TestDatabase, name: Name, input: InputOf<Name>) {
  const database = await openDatabase(test.url);
  const context = { database, signal: new AbortController().signal };
  const preview = await previewAction(name, context, input);
  const { outcome } = await collect(runAction(name, context, input));
  return { preview, outcome };
}

it('a restored tree is as it was before it was archived, with its usage logs', async () => {
  const test = await createTestDatabase();
  await archived(test);
  const before = await contents(test);
  const links = await usageLinks(test);
  await archiveAll(test);
  expect(await usageLinks(test)).not.toEqual(links);
  const { rows } = await test.query<{ id: string }>(
    `SELECT id FROM execution_traces_archive WHERE prompt_text IS NOT NULL AND parent_id IS NOT NULL`,
  );
  const one = await act(test, 'restore', { traces: [rows[0]?.id ?? ''] });
  expect(one.preview.facts[0]).toEqual({ label: 'Trees', value: '1' });
  expect(one.outcome).toMatchObject({
    summary: 'Restored 1 tree; 2 traces and 8 rows that belong to them; 2 usage logs linked again.',
    result: { restored: { execution_traces: 2, hook_executions: 4 } },
  });
  expect((await counts(test)).execution_traces).toEqual([2, 2]);
  await act(test, 'restore', { since: '2000-01-01T00:00:00Z' });
  expect((await counts(test)).endpoint_calls).toEqual([4, 0]);
  expect(await contents(test)).toEqual(before);
  expect(await usageLinks(test)).toEqual(links);
});

it('a tree whose correlation_id is live again stays archived, and the others are restored', async () => {
  const test = await createTestDatabase();
  await archived(test);
  await archiveAll(test);
  await test.query(`INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status)
    SELECT correlation_id, root_id, session_id, 'written again', 'completed' FROM execution_traces_archive
    WHERE status = 'failed'`);
  const { outcome } = await act(test, 'restore', { since: '2000-01-01T00:00:00Z' });
  expect(outcome.result).toMatchObject({ trees: 2, skipped: { trees: 1 } });
  expect(outcome.result.skipped.roots).toHaveLength(1);
  expect(outcome.summary).toMatch(/1 tree stays archived, since a live trace/);
  expect((await counts(test)).execution_traces).toEqual([4, 1]);
  expect((await counts(test)).endpoint_calls).toEqual([3, 1]);
});

it('a batch holds as many trees as their bytes allow, and no tree is left out', async () => {
  const test = await createTestDatabase();
  await archived(test);
  await archiveAll(test);
  const database = await openDatabase(test.url);
  const columns = await columnsByTable(database);
  const chosen = await chooseTrees(database, { since: '2000-01-01T00:00:00Z' });
  expect(await countTrees(database, chosen)).toMatchObject({ trees: 3, traces: 4 });
  const walk = (bytes?: number) =>
    database.transaction({ readOnly: true }, async (tx) => {
      const batches: string[][] = [];
      let after: TreeCursor | undefined;
      do {
        const limits = { after, columns, most: 500, ...(bytes === undefined ? {} : { bytes }) };
        const { roots, next } = await nextTrees(tx, chosen, limits);
        if (roots.length > 0) batches.push(roots);
        after = next;
      } while (after);
      return batches;
    });
  const all = await walk();
  expect(all.map((roots) => roots.length)).toEqual([3]);
  const single = await walk(1);
  expect(single.map((roots) => roots.length)).toEqual([1, 1, 1]);
  expect(single.flat()).toEqual(all.flat());
});

it('export, purge and import of the export leave the archive as it was', async () => {
  const test = await createTestDatabase();
  await archived(test);
  await archiveAll(test);
  const before = await archiveContents(test);
  const file = join(folder(), 'traces.jsonl');
  const purged = await act(test, 'purge', { olderThan: '30 days', exportFile: file });
  expect(purged.preview).toMatchObject({ typed: 'purge' });
  expect(purged.outcome.result).toMatchObject({
    deleted: {
      execution_traces: 4,
      agent_routing_decisions: 4,
      hook_executions: 8,
      endpoint_calls: 4,
    },
    exportFile: file,
  });
  expect((await counts(test)).execution_traces).toEqual([0, 0]);
  const imported = await act(test, 'import', { file });
  expect(imported.outcome.summary).toBe('Imported 20 rows, equal to what was exported.');
  expect(await archiveContents(test)).toBe(before);
  const again = await act(test, 'import', { file });
  expect(again.outcome.result.present).toBe(20);

  const text = readFileSync(file, 'utf8');
  const damaged = join(folder(), 'damaged.jsonl');
  for (const bad of [
    text.replace('line', 'lime'),
    text.slice(0, -200),
    text.replace(/^.*"row".*\n/m, ''),
    text.replace(/^.*\n/, '{"traceConsoleArchive":1,"columns":null}\n'),
    text.replace(/^\{"batch".*$/m, '{"batch":null}'),
    text.replace(/^\{"end".*$/m, '{"end":{}}'),
  ]) {
    writeFileSync(damaged, bad);
    await expect(act(test, 'import', { file: damaged })).rejects.toMatchObject({
      code: 'file_failed',
    });
  }
  await test.query(`UPDATE hook_executions_archive SET hook_name = 'other'`);
  await expect(act(test, 'import', { file })).rejects.toThrow(/would not be as they were exported/);
});

it('nothing is deleted when the export cannot be written, or the archive changes after it', async () => {
  const test = await createTestDatabase();
  await archived(test);
  await test.query(`UPDATE execution_traces SET prompt_text = repeat('x', 100000)`);
  await archiveAll(test);
  const before = await archiveContents(test);
  const file = join(folder(), 'traces.jsonl');
  // The file may not grow beyond 40 blocks of 512 bytes: what a full disk is to whoever writes.
  const args = `archive purge --older-than 30d --export ${file} --yes --url ${test.url}`;
  const full = await runCli(args.split(' '), { fileSizeLimit: 40 });
  expect(full).toMatchObject({ exitCode: 1 });
  expect(full.stderr).toMatch(/Writing .* failed: EFBIG.*\nhint: Nothing was deleted\.\n/);
  expect(existsSync(file)).toBe(false);
  expect(await archiveContents(test)).toBe(before);

  const database = await openDatabase(test.url);
  const context = { database, signal: new AbortController().signal };
  const purging = runAction('purge', context, { olderThan: '30 days', exportFile: file });
  const changed = collect(purging, async ({ phase }) => {
    if (phase === 'deleting')
      await test.query(
        `UPDATE endpoint_calls_archive SET method = 'X'`.replace('method', 'http_method'),
      );
  });
  await expect(changed).rejects.toThrow(/has changed since it was exported/);
  expect((await counts(test)).execution_traces).toEqual([0, 4]);
});

it('is listed, searched, looked at, restored and purged by command', async () => {
  const test = await createTestDatabase();
  await archived(test);
  await archiveAll(test);
  const run = (...args: string[]) => runCli(['archive', ...args, '--url', test.url]);
  const list = JSON.parse((await run('list', '--json')).stdout) as {
    root: string;
    traces: number;
  }[];
  expect(list.map(({ traces }) => traces).sort()).toEqual([1, 1, 2]);
  const found = await run('list', '--search', 'TWO', '--json');
  const [two] = JSON.parse(found.stdout) as { root: string; status: string }[];
  expect(two).toMatchObject({ status: 'failed', traces: 1 });
  const shown = await runCli(['trace', two?.root ?? '', '--url', test.url]);
  expect(shown.stdout).toContain('user_prompt');
  expect(shown.stdout).not.toContain('\u001b');
  expect(await run('restore', two?.root ?? '', '--yes')).toMatchObject({ exitCode: 0 });
  expect((await counts(test)).execution_traces).toEqual([1, 3]);
  expect(await run('restore', two?.root ?? '', '--yes')).toMatchObject({ exitCode: 1 });
  expect(await run('purge', '--older-than', '30d')).toMatchObject({ exitCode: 4 });
  expect(await run('purge')).toMatchObject({ exitCode: 2 });
  expect((await counts(test)).execution_traces).toEqual([1, 3]);
  const purged = await run('purge', '--older-than', '30d', '--yes', '--json');
  expect(JSON.parse(purged.stdout)).toMatchObject({ deleted: { execution_traces: 3 } });
});
