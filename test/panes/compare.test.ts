import { expect, test } from 'vitest';
import { compareMoment } from '../../src/panes/compare.js';
import { cellOf } from '../../src/panes/contract/column.js';
import { changeColumns } from '../../src/panes/reading/changes.js';
import { createTestDatabase } from '../helpers/database.js';
import { detailAccess, openDatabase } from './open.js';

/** Half an hour of 400 traces, then half an hour of 120. */
const fill = `
INSERT INTO execution_traces (correlation_id, root_id, session_id, source, project, status, error_type, cost_usd, started_at)
SELECT id, id, id, 'test', project, CASE WHEN error IS NULL THEN 'completed' ELSE 'failed' END, error, cost,
  now() - CASE WHEN isBefore THEN interval '45 minutes' ELSE interval '15 minutes' END
FROM (VALUES
  (true, 'fewer', 0.1, 100, 'Timeout'), (true, 'fewer', 0.1, 100, NULL), (false, 'fewer', 0.1, 30, 'Timeout'),
  (false, 'fewer', 0.1, 10, NULL),
  (true, 'dearer', 0.1, 40, NULL), (false, 'dearer', 0.3, 25, 'NewError'), (false, 'dearer', 0.3, 15, NULL),
  (true, 'rare', 0.1, 25, NULL), (false, 'rare', 0.5, 5, NULL),
  (true, 'free', NULL, 135, NULL), (false, 'free', NULL, 12, 'Odd'), (false, 'free', NULL, 23, NULL)
) AS planned(isBefore, project, cost, number, error),
LATERAL (SELECT gen_random_uuid() AS id FROM generate_series(1, number)) AS made`;

test('what only follows the traffic is changed, and what few calls say is too few', async () => {
  const database = await createTestDatabase();
  await database.query(fill);
  const access = await detailAccess(await openDatabase(database.url));
  const { rows, endMs } = await compareMoment(access, Date.now() - 30 * 60_000);
  const found = new Map(
    rows.map((row) => {
      const texts = changeColumns.map((column) => cellOf(column, row, { nowMs: endMs }).text);
      const [verdict = '', pane = '', name = '', figure = '', , , change = '', ...how] = texts;
      return [`${pane} ${name} ${figure}`, [verdict, change, ...how].join(' | ')];
    }),
  );
  expect(found.get('Usage fewer cost')).toBe('changed | -80% | 200 → 40 | each $0.10 → $0.10');
  expect(found.get('Usage dearer cost')).toBe('worse | +200% | 40 → 40 | each $0.10 → $0.30');
  expect(found.get('Usage rare cost')).toBe('too few | = | 25 → 5 | fewer than 20 traces');
  expect(found.get('Errors Timeout calls')).toBe('changed | -70% | 100 → 30 | traces 400 → 120');
  expect(found.get('Errors NewError calls')).toBe('worse | new | 0 → 25 | traces 400 → 120');
  expect(found.get('Errors Odd calls')).toBe('too few | new | 0 → 12 | fewer than 20 calls');
  expect(found.get('Recent traces completed calls')).toMatch(/^changed/);
});
