import { byOwnKey } from '../../core/values.js';
import { ConsoleError } from '../../db/errors.js';
import type { Database } from '../../db/database.js';
import { coreTables } from '../../core/tables.js';
import {
  leftoverPattern,
  findRebuilder,
  findRunningBuilds,
  reindexCommand,
  reindexId,
} from './rebuild-lock.js';
import { counted, formatBytes } from '../../core/format/number.js';
import { formatDuration } from '../../core/format/time.js';
import { manifest } from '../../deploy/catalogue.js';
import {
  type Action,
  type ActionContext,
  type Outcome,
  type Progress,
  oneOrCount,
  textsOf,
} from '../action.js';
import { ownerHint } from '../guard.js';
import { cleanUpCommand } from './leftovers.js';
import {
  readIndexStates,
  type IndexState,
  type ReindexTarget,
  planRebuild,
  type RebuildPlan,
  type RebuildWishes,
} from './rebuild-plan.js';
import { type RebuildEnd, rebuildIndex, type RebuiltIndex } from './rebuild-index.js';
import { reindexPreview } from './reindex-preview.js';

/** `{indexes: ['idx_pattern_embedding']}`, `{table: 'hook_executions'}` or `{vectors: true}`. */
export type ReindexInput = ReindexTarget &
  RebuildWishes & {
    /** Milliseconds to wait for others before giving up; default 10 minutes. */
    lockTimeoutMs?: number;
    /** Measure a vector index's recall before and after; default true. */
    recall?: boolean;
  };

export type ReindexResult = {
  rebuilt: RebuiltIndex[];
  /** Not begun, because an earlier one was cancelled or left. */
  remaining: string[];
  /** The index that the server goes on with alone. */
  left: string | null;
};

export const indexRows = { rows: 'index', needs: 'an index' } as const;

/** Whether the chosen index is being built: that can only be followed. */
export function isBuilding(rows: readonly object[]): boolean {
  return rows.length === 1 && textsOf(rows, 'state')[0] === 'building';
}

/**
 * Rebuilds indexes CONCURRENTLY, one at a time, each on a connection of its own, while readers and writers go
 * on. An ivfflat index gets the number of lists that fits its rows.
 */
export const reindex: Action<ReindexInput, ReindexResult> = {
  id: reindexId,
  title: 'Reindex',
  requires: ['primary', 'direct-connection', 'maintain', 'own-rows'],
  subject: subjectOf,
  tables: tablesOf,
  offers: [
    {
      ...indexRows,
      command: reindexCommand,
      choose(rows) {
        const indexes = textsOf(rows, 'index');
        if (isBuilding(rows)) return undefined;
        return { title: `Reindex ${oneOrCount(indexes, 'indexes')}`, input: { indexes } };
      },
    },
    {
      command: {
        id: 'reindex-vectors',
        key: 'R',
        title: 'rebuild all vector indexes, with lists that fit their rows',
      },
      choose: () => ({ title: 'Reindex the vector indexes', input: { vectors: true } }),
    },
  ],
  preview: async ({ database }, input) => reindexPreview(database, await plansFor(database, input)),
  run,
};

function subjectOf({ indexes = [], table }: ReindexInput): string {
  if (indexes.length > 0) return indexes.join(', ');
  return table === undefined ? 'vector indexes' : `indexes of ${table}`;
}

function tablesOf({ indexes = [], table, vectors }: ReindexInput): string[] {
  const tables = new Set(
    indexes.flatMap((index) => byOwnKey(manifest.indexes, index)?.table ?? []),
  );
  if (table !== undefined) tables.add(table);
  if (vectors) {
    for (const { table: of, definition } of Object.values(manifest.indexes)) {
      if (/ USING (ivfflat|hnsw) /.test(definition)) tables.add(of);
    }
  }
  return [...tables];
}

/** @throws ConsoleError when one of the indexes is unknown or cannot be rebuilt here. */
async function plansFor(database: Database, input: ReindexInput): Promise<RebuildPlan[]> {
  const states = await readIndexStates(database, input);
  const { schema } = database.capabilities;
  for (const name of input.indexes ?? []) {
    if (states.some(({ index, partOf }) => [index, ...partOf].includes(name))) continue;
    throw new ConsoleError('not_found', `There is no index ${name} in ${schema}.`, {
      hint: 'The pane "index usage" lists them: trace-console status --pane index-usage',
    });
  }
  // A leftover of the chosen table is no reason to refuse the table.
  const named = new Set(input.indexes);
  const chosen = states.filter(
    ({ index, valid }) => named.has(index) || valid || !isLeftover(index),
  );
  if (chosen.length === 0) {
    throw new ConsoleError('not_found', nothingText(input, schema), {
      hint: `The schema's tables: ${coreTables.join(', ')}`,
    });
  }
  const busy = await findRebuilder(
    database,
    chosen.map(({ index }) => index),
  );
  if (busy) throw busy;
  const running = await findRunningBuilds(database);
  for (const { index } of chosen) {
    const build = running.find((one) => one.index === index);
    if (!build) continue;
    throw new ConsoleError('busy', `${index} is being rebuilt by pid ${build.pid}.`, {
      hint: `:${reindexCommand.id} on ${build.building} follows it, or trace-console reindex --follow ${index}`,
    });
  }
  return chosen.map((state) => {
    const plan = planRebuild(state, named.size === 0 && !state.vector ? {} : input);
    const problem = problemOf(database, plan);
    if (problem) throw problem;
    return plan;
  });
}

function nothingText({ table }: ReindexInput, schema: string): string {
  return table === undefined
    ? `There is no such index in ${schema}.`
    : `There is no table ${table} with indexes in ${schema}.`;
}

function isLeftover(index: string): boolean {
  return new RegExp(leftoverPattern).test(index);
}

function problemOf(database: Database, { state, way }: RebuildPlan): ConsoleError | undefined {
  const { index, owned, exclusion, partOf, valid } = state;
  const { user, serverVersion } = database.capabilities;
  // Replacing an index and renaming both needs its owner: MAINTAIN is not enough.
  if (!owned && (way === 'replace' || !mayMaintain(database, state))) {
    const keep =
      way === 'replace' && serverVersion >= 170_000 ? ' --keep-lists asks for less.' : '';
    return new ConsoleError(
      'privilege_missing',
      `Reindex: refused, "${user}" does not own ${index}.`,
      { hint: `${ownerHint}${keep}` },
    );
  }
  if (exclusion) {
    return new ConsoleError(
      'query_failed',
      `${index} belongs to an exclusion constraint and cannot be rebuilt CONCURRENTLY.`,
      { hint: 'REINDEX INDEX without it blocks all writers; run it by hand in a quiet hour.' },
    );
  }
  if (way === 'replace' && partOf.length > 0) {
    return new ConsoleError(
      'query_failed',
      `${index} belongs to ${partOf.join(', ')}: no other index can take its place.`,
      { hint: '--keep-lists rebuilds it as it is.' },
    );
  }
  if (!valid && isLeftover(index)) {
    return new ConsoleError('usage', `${index} is named as what an interrupted rebuild leaves.`, {
      hint: `:${cleanUpCommand.id} in the console or trace-console reindex --clean-up drops it, if it is a leftover.`,
    });
  }
  return undefined;
}

function mayMaintain({ capabilities }: Database, { table }: IndexState): boolean {
  return byOwnKey(capabilities.tables, table)?.maintain ?? false;
}

async function* run(
  context: ActionContext,
  input: ReindexInput,
): AsyncGenerator<Progress, Outcome<ReindexResult>> {
  const plans = await plansFor(context.database, input);
  const started = performance.now();
  const rebuilt: RebuiltIndex[] = [];
  let end: RebuildEnd = 'finished';
  let left: string | null = null;
  let begun = 0;
  for (const plan of plans) {
    if (context.signal.aborted) end = 'cancelled';
    if (end !== 'finished') break;
    begun += 1;
    const events = rebuildIndex(context, plan, input);
    const one = yield* withPosition(events, begun, plans.length);
    end = one.end;
    if (end === 'left') left = plan.state.index;
    if (end === 'finished') rebuilt.push(one.rebuilt);
  }
  const remaining = plans.slice(begun).map(({ state }) => state.index);
  const result = { rebuilt, remaining, left };
  const cancelled = end === 'cancelled';
  const stopped = plans[begun - 1]?.state.index ?? '';
  const milliseconds = performance.now() - started;
  return {
    summary: summaryOf(result, cancelled ? stopped : null, milliseconds),
    cancelled,
    result,
  };
}

/** `2 of 5: building index: loading tuples` */
async function* withPosition<Result>(
  events: AsyncGenerator<Progress, Result>,
  number: number,
  total: number,
): AsyncGenerator<Progress, Result> {
  for (;;) {
    const event = await events.next();
    if (event.done) return event.value;
    const { phase } = event.value;
    yield total === 1 ? event.value : { ...event.value, phase: `${number} of ${total}: ${phase}` };
  }
}

function summaryOf(
  { rebuilt, remaining, left }: ReindexResult,
  cancelled: string | null,
  milliseconds: number,
): string {
  const [only] = rebuilt;
  const parts = [
    ...(only && rebuilt.length === 1
      ? [oneRebuilt(only)]
      : rebuilt.length > 1
        ? [
            `Rebuilt ${counted(rebuilt.length, 'index')} in ${formatDuration(milliseconds)}: ${sizes(rebuilt)}`,
            ...rebuilt.flatMap((index) => {
              const vector = vectorText(index);
              return vector === '' ? [] : [`${index.index}: ${vector}`];
            }),
          ]
        : []),
    ...rebuilt.flatMap(({ leftBehind }) =>
      leftBehind === null
        ? []
        : [`${leftBehind} is still read by others; :${cleanUpCommand.id} drops it later`],
    ),
    ...(cancelled === null
      ? []
      : [`Cancelled the rebuild of ${cancelled}; the index is as it was`]),
    ...(left === null
      ? []
      : [`The server goes on with ${left} alone; :${reindexCommand.id} on it follows it again`]),
    ...(remaining.length > 0 ? [`Not begun: ${remaining.join(', ')}`] : []),
  ];
  return parts.map((part) => `${part}.`).join(' ');
}

function oneRebuilt(index: RebuiltIndex): string {
  const vector = vectorText(index);
  const seconds = (index.milliseconds / 1000).toFixed(1);
  return `Rebuilt ${index.index} in ${seconds} s: ${sizes([index])}${vector === '' ? '' : `; ${vector}`}`;
}

function sizes(rebuilt: readonly RebuiltIndex[]): string {
  const sum = (of: (index: RebuiltIndex) => number) =>
    formatBytes(rebuilt.reduce((total, index) => total + of(index), 0));
  return `${sum(({ bytesBefore }) => bytesBefore)} before, ${sum(({ bytesAfter }) => bytesAfter)} now`;
}

/** Below this recall the result recommends another kind of index. */
const poorRecall = 0.95;

const listsText = (lists: number) => `${lists} ${lists === 1 ? 'list' : 'lists'}`;

/** `100 lists before, 316 now; recall@10 0.23 before, 0.99 now (20 vectors of its own rows)` */
function vectorText({ vector }: RebuiltIndex): string {
  if (!vector) return '';
  const { method, listsBefore, listsAfter, recallBefore, recallAfter, sample } = vector;
  const kind = (lists: number | null) => (lists === null ? 'hnsw' : listsText(lists));
  const shape =
    listsBefore === listsAfter
      ? `${method}${listsAfter === null ? '' : `, ${listsText(listsAfter)}`}`
      : `${kind(listsBefore)} before, ${kind(listsAfter)} now`;
  if (!recallAfter) return `${shape}; recall not measured`;
  const before = recallBefore ? `${recallBefore.recall.toFixed(3)} before, ` : '';
  const measured = `${shape}; recall@10 ${before}${recallAfter.recall.toFixed(3)} now, ${formatDuration(recallAfter.milliseconds)} a query (${recallAfter.queries} vectors of ${sample ?? ''})`;
  // Vectors that form no clusters have their neighbours in many lists, so that more lists do not help.
  const isPoor = method === 'ivfflat' && recallAfter.recall < poorRecall;
  return isPoor ? `${measured}; --method hnsw may find more of such vectors` : measured;
}
