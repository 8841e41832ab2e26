import type { Database, Queryable } from '../../db/database.js';
import { quoteIdent } from '../../db/quote.js';
import { counted, formatBytes } from '../../core/format/number.js';
import type { Fact, Preview } from '../action.js';
import {
  readLongTransactions,
  type LongTransaction,
  createStatement,
  nameBeside,
  reindexStatement,
  type RebuildPlan,
  type WantedVector,
  vectorIndexBytes,
} from './rebuild-plan.js';
import { dropStatement, findLeftovers } from './leftovers.js';

/** More than these are counted, not listed. */
const mostListed = 12;

/** What a person sees before indexes are rebuilt: what, how, what it needs, and who is in the way. */
export async function reindexPreview(
  database: Database,
  plans: readonly RebuildPlan[],
): Promise<Preview> {
  const { schema, embedded } = database.capabilities;
  const names = new Set(plans.map(({ state }) => state.index));
  const [blockers, { leftovers, memory, disk }] = await Promise.all([
    readLongTransactions(database),
    database.transaction({ readOnly: true }, async (tx) => ({
      leftovers: (await findLeftovers(tx, schema)).filter(({ of }) => names.has(of)),
      memory: await maintenanceMemory(tx),
      disk: await freeSpace(tx),
    })),
  ]);
  const [only] = plans;
  const single = plans.length === 1 ? only : undefined;
  return {
    title: single ? `Reindex ${single.state.index}` : `Reindex ${counted(plans.length, 'index')}`,
    sql: plans.slice(0, mostListed).flatMap((plan) => statementsOf(plan)),
    facts: [
      ...(single ? factsOfOne(single) : factsOfSeveral(plans)),
      { label: 'Disk needed', value: diskText(plans, disk) },
      ...memoryFacts(plans, memory),
      { label: 'Locks', value: 'SHARE UPDATE EXCLUSIVE; readers and writers go on' },
      ...(leftovers.length > 0
        ? [
            {
              label: 'Dropped first',
              value: `leftovers ${leftovers.map(({ name }) => name).join(', ')}`,
            },
          ]
        : []),
    ],
    ...(single ? {} : { list: listOf(plans) }),
    warnings: [
      ...blockers.map(blockerText),
      ...diskWarnings(plans, disk),
      ...plans.flatMap(warningsOf),
      ...(embedded
        ? ['Cancelling on the embedded database restarts its engine (about a second).']
        : []),
    ],
  };
}

function factsOfOne({ state, way, wanted }: RebuildPlan): Fact[] {
  return [
    { label: 'Table', value: `${state.table}, about ${counted(state.rows, 'row')}` },
    { label: 'Size now', value: formatBytes(state.bytes) },
    { label: 'State', value: state.valid ? 'valid' : 'invalid: not used by queries' },
    ...(wanted && state.vector
      ? [
          {
            label: 'Lists',
            value: `${kindText(state.vector.method, state.vector.lists)}${way === 'replace' ? `, then ${kindText(wanted.method, wanted.lists)}` : ''}`,
          },
        ]
      : []),
  ];
}

function factsOfSeveral(plans: readonly RebuildPlan[]): Fact[] {
  const bytes = plans.reduce((sum, { state }) => sum + state.bytes, 0);
  return [
    { label: 'Indexes', value: `${plans.length}, one after the other` },
    { label: 'Size now', value: formatBytes(bytes) },
  ];
}

function listOf(plans: readonly RebuildPlan[]): string[] {
  const lines = plans.slice(0, mostListed).map(({ state, way, wanted }) => {
    const change =
      way === 'replace' && wanted ? `, then ${kindText(wanted.method, wanted.lists)}` : '';
    const vector = state.vector
      ? `, ${kindText(state.vector.method, state.vector.lists)}${change}`
      : '';
    return `${state.index}  ${formatBytes(state.bytes)}${vector}${state.valid ? '' : ', invalid'}`;
  });
  const more = plans.length - lines.length;
  return more > 0 ? [...lines, `and ${more} more`] : lines;
}

function kindText(method: string, lists: number | null): string {
  return lists === null ? method : `${lists} ${method} ${lists === 1 ? 'list' : 'lists'}`;
}

function diskText(plans: readonly RebuildPlan[], disk: DiskSpace | undefined): string {
  const needed = `about ${formatBytes(largestBytes(plans))} more while ${plans.length === 1 ? 'it runs' : 'the largest is built'}, and as much WAL`;
  const free = disk ? `${formatBytes(disk.free_bytes)} are free` : 'what is free is not known here';
  return `${needed}; ${free}`;
}

/** The disk space that a rebuild needs: the new index and its WAL. */
function diskWarnings(plans: readonly RebuildPlan[], disk: DiskSpace | undefined): string[] {
  const needed = 2 * largestBytes(plans);
  if (!disk || disk.free_bytes >= needed) return [];
  return [
    `The disk has ${formatBytes(disk.free_bytes)} free, and this may need ${formatBytes(needed)}: a full disk stops the server.`,
  ];
}

function largestBytes(plans: readonly RebuildPlan[]): number {
  return Math.max(...plans.map((plan) => newBytes(plan)));
}

/** The size of an index that was built on an empty table says nothing about the new one. */
function newBytes({ state }: RebuildPlan): number {
  const dimensions = state.vector?.dimensions;
  const filled = dimensions ? vectorIndexBytes(state.rows, dimensions) : 0;
  return Math.max(state.bytes, filled);
}

function memoryFacts(plans: readonly RebuildPlan[], memory: number): Fact[] {
  const needed = Math.max(0, ...plans.map(({ wanted }) => wanted?.memoryBytes ?? 0));
  if (needed === 0) return [];
  const raised = needed > memory ? ', raised for this session' : ', enough';
  return [
    {
      label: 'Memory needed',
      value: `${formatBytes(needed)}; maintenance_work_mem is ${formatBytes(memory)}${raised}`,
    },
  ];
}

async function maintenanceMemory(tx: Queryable): Promise<number> {
  const { rows } = await tx.query<{ bytes: number }>(
    `SELECT pg_size_bytes(current_setting('maintenance_work_mem')) AS bytes`,
  );
  return rows[0]?.bytes ?? 0;
}

function warningsOf({ state, wanted }: RebuildPlan): string[] {
  const { index, rows, vector } = state;
  if (!vector) return [];
  if (wanted?.method === 'ivfflat' && rows < (wanted.lists ?? 0)) {
    const few = rows === 0 ? 'The table is empty' : `There are only ${rows} rows`;
    return [`${few}: ${index} built now has random lists. Rebuild it when there is data.`];
  }
  return [
    ...(vector.builtEmpty
      ? [`${index} was built on an almost empty table: it misses neighbours until this is done.`]
      : []),
    ...(wanted?.method === 'hnsw' && vector.method !== 'hnsw'
      ? ['An hnsw index takes about ten times as long to build as an ivfflat one.']
      : []),
  ];
}

function blockerText({ pid, user, seconds, query }: LongTransaction): string {
  return `It will wait for a transaction of ${user} (pid ${pid}), open for ${seconds} s: ${query}`;
}

function statementsOf({ state, way, wanted }: RebuildPlan): string[] {
  return way === 'replace' && wanted ? replaceStatements(state, wanted) : [reindexStatement(state)];
}

function replaceStatements(state: RebuildPlan['state'], wanted: WantedVector): string[] {
  const name = (index: string) => quoteIdent(state.schema, index);
  const [built, old] = [nameBeside(state.index, 'tcnew', []), nameBeside(state.index, 'tcold', [])];
  return [
    createStatement(state, wanted, built),
    `ALTER INDEX ${name(state.index)} RENAME TO ${quoteIdent(old)}; ALTER INDEX ${name(built)} RENAME TO ${quoteIdent(state.index)}`,
    dropStatement(state.schema, old),
  ];
}

/** Of the file system with the data, bytes. */
export type DiskSpace = { free_bytes: number; total_bytes: number };

/**
 * How much room the server's disk has. PostgreSQL itself does not know; the extension system_stats does. Undefined
 * where it is not there, or not for this role.
 */
export async function freeSpace(tx: Queryable): Promise<DiskSpace | undefined> {
  const extension = await tx.query<{ function: string | null }>(
    `SELECT to_regprocedure(quote_ident(n.nspname) || '.pg_sys_disk_info()')::regproc::text AS function
     FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
     WHERE e.extname = 'system_stats'
       AND has_function_privilege(to_regprocedure(quote_ident(n.nspname) || '.pg_sys_disk_info()'), 'EXECUTE')`,
  );
  const name = extension.rows[0]?.function;
  if (!name) return undefined;
  // The file system with the data is the one whose mount point is the longest beginning of its path.
  const { rows } = await tx.query<DiskSpace>(
    `SELECT d.free_space AS free_bytes, d.total_space AS total_bytes
     FROM ${name}() AS d, pg_settings AS s
     WHERE s.name = 'data_directory' AND starts_with(s.setting || '/', rtrim(d.mount_point, '/') || '/')
     ORDER BY length(d.mount_point) DESC LIMIT 1`,
  );
  return rows[0];
}
