import { expect, test } from 'vitest';
import type { DetailSection } from '../../src/panes/contract/opening.js';
import { recordOpening, routingSections } from '../../src/panes/reading/record.js';
import type { Opened } from '../../src/panes/contract/opening.js';
import { indexUsage } from '../../src/panes/index-usage.js';
import { tableSizes } from '../../src/panes/table-sizes.js';
import { topPatterns } from '../../src/panes/top-patterns.js';
import { createTestDatabase } from '../helpers/database.js';
import { giveFeedback } from '../../src/learning/calibrate.js';
import { learnAll } from '../learning/helpers.js';
import { detailAccess, openDatabase, openRow, readFresh } from './open.js';

const textOf = (sections: readonly DetailSection[]) =>
  sections.flatMap(({ title, lines }) => [
    title,
    ...lines.map((line) => line.map(({ text }) => text).join(' ')),
  ]);

function sectionsOf(opened: Opened | undefined): string[] {
  if (opened?.kind !== 'records') throw new Error('opens as a record');
  return textOf(opened.sections ?? []);
}

test('a routing decision shows what its confidence is made of, and whom it passed over', () => {
  const shown = textOf(
    routingSections({
      agent_selected: 'agent-a',
      confidence_score: 0.75,
      confidence_breakdown: { trigger: 0.5, note: 'x' },
      alternatives: [{ agent: 'agent-b', confidence: 0.4 }, { odd: 1 }],
    }),
  );
  expect(shown).toEqual([
    'Confidence',
    expect.stringMatching(/^agent-a +█{15}░{5} {2}75%$/),
    expect.stringMatching(/^trigger +█{10}░{10} {2}50%$/),
    'Alternatives',
    expect.stringMatching(/^agent-b +█{8}░{12} {2}40%$/),
  ]);
  expect(textOf(routingSections({ agent_selected: 'a' })).at(-1)).toBe('none was written down');
});

test('a pattern shows its hooks, its uses and its nearest neighbours', async () => {
  const db = await createTestDatabase();
  await db.query(`
    INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_embedding, hook_sequence, success_count, total_usage_count)
    SELECT 'h' || n, 'intent-' || n, (ARRAY[1.0, n / 10.0] || array_fill(0.0, ARRAY[1534]))::vector,
      '[{"type": "Stop", "name": "sync"}, {"type": "Stop", "name": "end"}]', 4 - n, 4 - n
    FROM generate_series(1, 3) AS n;
    INSERT INTO pattern_usage_log (pattern_id, outcome, used_at)
    SELECT id, outcome, now() - interval '1 day' FROM success_patterns, unnest(ARRAY['success', 'failure']) AS outcome
    WHERE pattern_hash = 'h1';
    UPDATE success_patterns SET context = jsonb_build_object('merged', jsonb_build_array(5, null,
      jsonb_build_object('id', gen_random_uuid(), 'intent', 'sign in'), jsonb_build_object('id', 'no id', 'intent', 'x')))
    WHERE pattern_hash = 'h1'`);
  const console_ = await openDatabase(db.url);
  const { rows } = await readFresh(console_, topPatterns);
  const row = rows.find(({ hash }) => hash === 'h1');
  if (!row) throw new Error('no pattern');
  const shown = sectionsOf(await openRow(console_, topPatterns, row));
  expect(shown).toContain('Stop sync → Stop end');
  expect(shown).toContain('merged into it: sign in');
  expect(shown.join('\n')).toMatch(/2 uses, the last 1d ago 1 succeeded 1 failed/);
  const neighbours = shown.slice(shown.indexOf('Nearest patterns by embedding') + 1);
  expect(neighbours.map((line) => /intent-\d/.exec(line)?.[0])).toEqual(['intent-2', 'intent-3']);
});

test('a turn shows how learning judged it, and what people said', async () => {
  const db = await createTestDatabase();
  const { rows } = await db.query<{ id: string; correlation: string }>(
    `WITH c AS MATERIALIZED (
       SELECT gen_random_uuid() AS id, prompt, at FROM (VALUES ('Rename the invoice columns', 10), ('No, that is wrong', 8)) AS p (prompt, at))
     INSERT INTO execution_traces (correlation_id, root_id, session_id, source, prompt_text, status, started_at, completed_at)
     SELECT id, id, '00000000-0000-4000-8000-000000000001', 'user_prompt', prompt, 'completed', now() - at * interval '1 minute',
       now() - (at - 1) * interval '1 minute' FROM c ORDER BY at DESC
     RETURNING id, correlation_id AS correlation`,
  );
  const [corrected, last] = rows;
  if (!corrected || !last) throw new Error('no turns');
  const console_ = await openDatabase(db.url);
  const shownOf = async (id: string) => {
    const opening = recordOpening('Trace', 'execution_traces', id);
    return sectionsOf(await opening.read(await detailAccess(console_)));
  };
  expect(await shownOf(last.id)).toEqual([]);
  await learnAll(console_);
  await giveFeedback(console_, { correlationId: last.correlation, isGood: true, note: 'fine' });
  expect(await shownOf(corrected.id)).toEqual([
    'How learning judged the turn',
    'bad: the next prompt corrected it No, that is wrong',
    ':judge in the trace overrules it',
  ]);
  expect(await shownOf(last.id)).toEqual([
    'How learning judged the turn',
    'good: it completed',
    expect.stringMatching(/ said good (?:just now|.* ago) fine$/),
    'the next trace-console learn counts it so',
    ':judge in the trace overrules it',
  ]);
  await learnAll(console_);
  expect(await shownOf(last.id)).not.toContain('the next trace-console learn counts it so');
});

test('an index shows its health, a table its indexes and columns', async () => {
  const db = await createTestDatabase();
  // After it the catalogue has no pages of an index until the next ANALYZE.
  await db.query('TRUNCATE hook_executions CASCADE');
  const console_ = await openDatabase(db.url);
  const indexes = await readFresh(console_, indexUsage);
  const index = indexes.rows.find((row) => row.index === 'idx_pattern_embedding');
  if (!index) throw new Error('no index');
  expect(sectionsOf(await openRow(console_, indexUsage, index)).join('\n')).toMatch(
    /Verdict\n[^]*\nlists +100; its rows ask for \d+/,
  );
  const tables = await readFresh(console_, tableSizes);
  const table = tables.rows.find((row) => row.table === 'hook_executions');
  if (!table) throw new Error('no table');
  const shown = sectionsOf(await openRow(console_, tableSizes, table)).join('\n');
  expect(shown).toMatch(/idx_hook_executions_window +\S+ kB/);
  expect(shown).toMatch(/tool_use_id +text/);
});
