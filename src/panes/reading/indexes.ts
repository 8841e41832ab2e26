import { cleanUpCommand } from '../../maintenance/reindex/leftovers.js';
import {
  builtOnTooFewRows,
  defaultLists,
  fitsRows,
  recommendedLists,
} from '../../core/vector-lists.js';
import { ConsoleError } from '../../db/errors.js';
import {
  dropStatement,
  earlyText,
  KnownTraits,
  mostIndexes,
  readCovered,
  readIndexes,
  verdictOf,
  type CounterSource,
  type Covered,
  type CountersSince,
  type IndexEvidence,
  type IndexState,
  type VerdictId,
} from '../../maintenance/index-verdict.js';
import type { PaneReader, PaneResult, ReadRequest } from '../contract/pane.js';
import { askTwice } from './windows.js';
import type { Opening, RecordRow } from '../contract/opening.js';

export type IndexUsageRow = {
  index: string;
  table: string;
  /** Object id; changes when the index is rebuilt concurrently. */
  oid: number;
  /** btree, gin, ivfflat, hnsw, … */
  method: string;
  primary: boolean;
  unique: boolean;
  /** Which question it answers: its comment. */
  serves: string | null;
  /** Index scans since the counters began. */
  scans: number;
  /** Since when they are counted: the counters' age, or that of the index where it is younger. */
  countedSince: Date;
  /** PostgreSQL 16 and newer. */
  lastScan: Date | null;
  /** Entries written in that time, at most; null where that is not counted. */
  writes: number | null;
  /** Null while it cannot be measured; the size from before is kept. */
  bytes: number | null;
  /** `leftover`: of a rebuild that did not finish; safe to drop. */
  state: IndexState;
  /** The process that keeps others from reading it. */
  lockedBy: number | null;
  /** ivfflat: the lists it has, and those that its rows ask for. */
  lists: number | null;
  recommendedLists: number | null;
  /** ivfflat: its centres come from fewer rows than came later, or none: it misses neighbours. */
  builtEmpty: boolean;
  /** Whether it is needed, as doctor says it: by its id and in words. */
  verdict: VerdictId;
  verdictText: string;
  /** The statement that drops it, where nothing speaks against that. */
  drop: string | null;
  /** What deserves attention, in words; null when nothing does. */
  advice: string | null;
};

export type IndexUsageExtras = CountersSince & {
  indexes: number;
  bytes: number;
  /** Those that nothing needs, by counters that are old enough or because another index covers them. */
  unused: number;
  unusedBytes: number;
  /** Without a scan, by counters too young to say more. */
  tooEarly: number;
  invalid: number;
};

export class IndexUsageReader implements PaneReader<IndexUsageRow, IndexUsageExtras> {
  readonly #sizes = new Map<number, number>();
  readonly #traits = new KnownTraits();
  /** Which index covers another changes with the indexes only. */
  #covered: { of: string; by: ReadonlyMap<string, Covered> } = { of: '', by: new Map() };

  async read(request: ReadRequest): Promise<PaneResult<IndexUsageRow, IndexUsageExtras>> {
    const { shape } = request;
    if (shape.onWorkers.size > 0) throw onWorkers();
    const found = await askTwice(() =>
      request.transaction((tx) => readIndexes(tx, shape, this.#traits)),
    );
    const { rows, nowMs, since } = found;
    const covered = await this.#readCovered(request, rows);
    const usage = rows
      .map((row) => this.#rowOf(row, { nowMs, since, covered }, shape.schema))
      // The catalogue knows their pages as of the last VACUUM.
      .sort((a, b) => (b.bytes ?? 0) - (a.bytes ?? 0));
    const sum = (of: readonly IndexUsageRow[]) =>
      of.reduce((total, row) => total + (row.bytes ?? 0), 0);
    const unused = usage.filter(({ drop }) => drop !== null);
    return {
      rows: usage,
      extras: {
        indexes: usage.length,
        bytes: sum(usage),
        unused: unused.length,
        unusedBytes: sum(unused),
        tooEarly: usage.filter(({ verdict }) => verdict === 'early').length,
        invalid: usage.filter(({ state }) => state === 'invalid' || state === 'leftover').length,
        ...since,
      },
      asOf: new Date(nowMs),
      notes: [
        ...(rows.length === mostIndexes ? [`only the ${mostIndexes} largest indexes`] : []),
        ...(usage.some(({ lockedBy }) => lockedBy !== null)
          ? ['sizes of locked indexes are those of before']
          : []),
      ],
    };
  }

  /** Its catalogue functions may wait for a lock: what was known stays then. */
  async #readCovered(
    request: ReadRequest,
    rows: readonly IndexEvidence[],
  ): Promise<ReadonlyMap<string, Covered>> {
    const of = rows.map(({ oid, state }) => `${oid} ${state}`).join();
    if (of === this.#covered.of) return this.#covered.by;
    try {
      const covered = await request.transaction((tx) => readCovered(tx, request.shape.schema));
      this.#covered = { of, by: new Map(covered.map((each) => [each.index, each])) };
    } catch (error) {
      if (!(error instanceof ConsoleError) || error.code !== 'lock_timeout') throw error;
    }
    return this.#covered.by;
  }

  #rowOf(row: IndexEvidence, { nowMs, since, covered }: JudgedBy, schema: string): IndexUsageRow {
    if (row.bytes !== null) this.#sizes.set(row.oid, row.bytes);
    const bytes = row.bytes ?? this.#sizes.get(row.oid) ?? null;
    const verdict = verdictOf({ ...row, bytes }, { nowMs, since, covered: covered.get(row.index) });
    const canDrop = verdict.id === 'unused' || verdict.id === 'covered';
    // Each of these estimates may lag behind by itself; none runs ahead for long.
    const inTable = Math.max(row.index_rows, row.table_rows ?? 0, row.live_rows ?? 0);
    const rows = inTable * (1 - (row.share_without ?? 0));
    const { lists } = row;
    const built: Omit<IndexUsageRow, 'advice'> = {
      index: row.index,
      table: row.table,
      oid: row.oid,
      method: row.method,
      primary: row.is_primary,
      unique: row.is_unique,
      serves: row.serves,
      scans: row.scans,
      countedSince: row.countedSince,
      lastScan: row.last_scan,
      writes: row.writes,
      bytes,
      state: row.state,
      lockedBy: row.locked_by,
      lists: row.method === 'ivfflat' ? (lists ?? defaultLists) : null,
      recommendedLists: row.method === 'ivfflat' ? recommendedLists(rows) : null,
      builtEmpty:
        row.method === 'ivfflat' &&
        builtOnTooFewRows({
          lists: lists ?? defaultLists,
          rows,
          idsSinceTable: row.ids_since_table,
        }),
      verdict: verdict.id,
      verdictText: verdict.text,
      drop: canDrop ? dropStatement(schema, row.index) : null,
    };
    return { ...built, advice: adviceFor(built, rows, nowMs) };
  }
}

/** Their size and use are counted where the rows are. */
function onWorkers(): ConsoleError {
  return new ConsoleError(
    'cluster',
    'The indexes lie on workers of the Citus cluster; this server does not count their use.',
    {
      hint: 'Open the console on the worker: the view citus_shards names it.',
    },
  );
}

type JudgedBy = { nowMs: number; since: CountersSince; covered: ReadonlyMap<string, Covered> };

function adviceFor(row: Omit<IndexUsageRow, 'advice'>, rows: number, nowMs: number): string | null {
  if (row.lockedBy !== null) return `locked by pid ${row.lockedBy}`;
  if (row.state === 'building') return 'is being built';
  if (row.state === 'leftover') return `left by a broken rebuild: :${cleanUpCommand.id} drops it`;
  if (row.state === 'invalid') return 'invalid, not used: rebuild it';
  if (row.builtEmpty) return 'built on few rows: rebuild it';
  if (row.lists !== null && row.recommendedLists !== null && !fitsRows(row.lists, rows)) {
    return `${row.lists} lists, ${row.recommendedLists} recommended`;
  }
  if (row.verdict === 'early') return earlyText(nowMs - row.countedSince.getTime());
  return row.drop === null ? null : row.verdictText;
}

/**
 * One index in full. `$1`: its oid. pg_get_indexdef waits behind ACCESS EXCLUSIVE on the table, so it is
 * asked on demand only.
 */
export const indexDetailStatement = ({
  keepsCounters,
}: Pick<CounterSource, 'keepsCounters'>): string => `
SELECT
  pg_get_indexdef(i.indexrelid) AS definition,
  obj_description(i.indexrelid, 'pg_class') AS comment,
  pg_size_pretty(pg_relation_size(i.indexrelid)) AS size,
  i.indisvalid AS valid,
  i.indisready AS ready,
  ${keepsCounters ? '(SELECT scans FROM trace_console.index_counters WHERE index_oid = i.indexrelid)' : 's.idx_scan'} AS scans,
  ${
    keepsCounters
      ? ''
      : `s.idx_tup_read AS entries_read,
  s.idx_tup_fetch AS rows_fetched,`
  }
  c.reloptions AS options,
  c.reltuples AS entries_estimate
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
LEFT JOIN pg_stat_user_indexes AS s ON s.indexrelid = i.indexrelid
WHERE i.indexrelid = $1::oid`;

/** An index that is named where nobody has judged it: its definition, size and use. */
export function indexOpeningOf(name: string, oid: number): Opening {
  const title = `Index ${name}`;
  return {
    title,
    async read({ shape, read }) {
      const rows = await read<RecordRow>(indexDetailStatement(shape), [oid]);
      return { kind: 'records', title, rows };
    },
  };
}
