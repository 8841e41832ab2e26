import { formatByteChange, formatBytes } from '../../shared/format/bytes.js';
import { formatCount } from '../../shared/format/number.js';
import type { IndexUsageRow } from '../index-usage.js';
import type { Opening, RecordRow } from '../opening.js';
import type { SummaryLine } from '../pane.js';
import { indexDetailStatement } from '../statements/index-usage.js';
import { tableDetailStatement } from '../statements/table-sizes.js';
import type { TableSizeRow } from '../table-sizes.js';
import { sectionOr } from './section.js';

/** An index: how it is, how its lists fit its rows, and which keys mend it. */
export function indexOpening(row: IndexUsageRow): Opening {
  const title = `Index ${row.index}`;
  return {
    title,
    async read({ shape, read }) {
      const rows = await read<RecordRow>(indexDetailStatement(shape), [row.oid]);
      return {
        kind: 'records',
        title,
        rows,
        sections: rows.length === 0 ? [] : [{ title: 'Health', lines: healthLines(row) }],
      };
    },
  };
}

function healthLines(row: IndexUsageRow): SummaryLine[] {
  const { advice, state, lists, recommendedLists } = row;
  const isBad = state === 'invalid' || state === 'leftover';
  return [
    [
      { text: state, tone: isBad ? 'error' : 'success' },
      { text: advice ?? 'nothing to do', tone: advice === null ? 'muted' : 'warning' },
    ],
    ...(lists === null
      ? []
      : [[{ text: `${lists} lists; its rows ask for ${recommendedLists ?? 'unknown'}` }]]),
    [
      {
        text: 'Esc, then :reindex rebuilds it, :clean-up drops what broken rebuilds left',
        tone: 'muted',
      },
    ],
  ];
}

/** `$1`: the table's oid. */
const columnsStatement = `
SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required
FROM pg_attribute AS a WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`;

const indexesStatement = `
SELECT c.relname::text AS name, c.relpages::float8 * current_setting('block_size')::float8 AS bytes,
  pg_stat_get_numscans(c.oid) AS scans, i.indisvalid AS valid
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = $1::oid ORDER BY c.relpages DESC, c.relname LIMIT 100`;

/** A table: growth, columns, indexes; its vacuum history stands among its values. */
export function tableOpening(row: TableSizeRow): Opening {
  const title = `Table ${row.table}`;
  return {
    title,
    async read({ shape, read }) {
      const rows = await read<RecordRow>(tableDetailStatement(shape), [row.oid]);
      if (rows.length === 0) return { kind: 'records', title, rows };
      return {
        kind: 'records',
        title,
        rows,
        sections: [
          { title: 'Size', lines: sizeLines(row) },
          await sectionOr('Indexes, largest first', async () => {
            const found = await read<{
              name: string;
              bytes: number;
              scans: number;
              valid: boolean;
            }>(indexesStatement, [row.oid]);
            return found.map(({ name, bytes, scans, valid }) => [
              { text: name.padEnd(40) },
              { text: formatBytes(bytes).padStart(7) },
              { text: `${formatCount(scans)} scans`.padStart(12), tone: 'muted' },
              ...(valid ? [] : [{ text: 'invalid', tone: 'error' as const }]),
            ]);
          }),
          await sectionOr('Columns', async () => {
            const found = await read<{ name: string; type: string; required: boolean }>(
              columnsStatement,
              [row.oid],
            );
            return found.map(({ name, type, required }) => [
              { text: name.padEnd(26) },
              { text: `${type}${required ? ' not null' : ''}`, tone: 'muted' },
            ]);
          }),
        ],
      };
    },
  };
}

function sizeLines(row: TableSizeRow): SummaryLine[] {
  const { totalBytes, heapBytes, indexBytes, toastBytes, growthBytes, rows, deadRows } = row;
  return [
    [
      { text: formatBytes(totalBytes) },
      { text: `heap ${formatBytes(heapBytes)}`, tone: 'muted' },
      { text: `indexes ${formatBytes(indexBytes)}`, tone: 'muted' },
      { text: `toast ${formatBytes(toastBytes)}`, tone: 'muted' },
      ...(growthBytes === null
        ? []
        : [{ text: `${formatByteChange(growthBytes)} since the console looks` }]),
    ],
    [{ text: `${formatCount(rows)} rows` }, { text: `${formatCount(deadRows)} dead rows` }],
  ];
}
