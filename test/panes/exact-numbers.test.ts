import { expect, it } from 'vitest';
import { openedExport } from '../../src/panes/export/exportable.js';
import type { RecordRow } from '../../src/panes/contract/opening.js';
import { decodeValue, encodeValue } from '../../src/live/recording/frame.js';
import { initialFolds, recordNodes } from '../../src/ui/model/record-tree.js';
import { createTestDatabase } from '../helpers/database.js';
import { openDatabase } from './open.js';

it('shows, exports and records numbers to the digit that the database holds', async () => {
  const test = await createTestDatabase();
  const id = '1005254182451511297';
  const { rows: stored } = await test.query<{ id: string }>(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, input_tokens, context)
     VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', 9007199254740993,
       '{"message_id": ${id}, "huge": 1e400, "share": 0.5}') RETURNING id`,
  );
  const database = await openDatabase(test.url);
  const rows = await database.read<RecordRow>(
    `SELECT input_tokens, context, context::text AS written, 2::numeric ^ 64 AS power
     FROM execution_traces WHERE id = $1`,
    [stored[0]?.id],
  );
  const huge = `1${'0'.repeat(400)}`;
  const shown = (of: readonly RecordRow[]) =>
    [...recordNodes(of, [], initialFolds)].map(({ name, content }) =>
      content.kind === 'plain' ? `${name} ${content.text}` : name,
    );
  const expected = [
    'input_tokens 9007199254740993',
    `message_id ${id}`,
    `huge ${huge}`,
    'share 0.5',
  ];
  expect(shown(rows)).toEqual(expect.arrayContaining(expected));
  expect(shown(rows).filter((line) => line === `message_id ${id}`)).toHaveLength(2);
  expect(shown(rows)).toContainEqual(expect.stringMatching(/^power 18446744073709551616(\.0+)?$/));
  expect(shown(decodeValue(JSON.parse(JSON.stringify(encodeValue(rows)))) as RecordRow[])).toEqual(
    shown(rows),
  );
  const { formats } = openedExport({ kind: 'records', title: 'row', rows, sections: [] });
  for (const text of [formats.csv?.(), formats.json?.()]) {
    expect(text).toContain('9007199254740993');
    expect(text).toContain(id);
    expect(text).toContain(huge);
  }
  await database.close();
});
