import { formatDuration } from '../core/format/time.js';
import { counted } from '../core/format/number.js';
import { coreTables } from '../core/tables.js';
import { hasRowsOnWorkers } from '../db/capabilities.js';
import type { Database } from '../db/database.js';
import { ConsoleError } from '../db/errors.js';
import {
  copyName,
  copyText,
  dropStatement,
  isMaterializable,
  materializableViews,
  materializeStatements,
  placeOfCopy,
  readMaterialized,
  refreshStatement,
  type MaterializableView,
  type MaterializedView,
} from '../deploy/materialized.js';
import type { Action, ActionContext, Fact, Outcome, Preview, Progress } from './action.js';
import { ownerHint } from './guard.js';
import { connectForMaintenance, followStatement, readWaits } from './long-statement.js';
import { readPolicy } from './retention/policy.js';

/** Which views; absent: those that are materialized. */
type ViewsInput = { views?: readonly MaterializableView[] };

export type MaterializeResult = { done: MaterializableView[]; remaining: MaterializableView[] };

/** Milliseconds that a lock is waited for: another refresh may have it. */
const lockTimeoutMs = 60_000;

/** Milliseconds that a statement may take where nobody can cancel it. */
const pooledTimeoutMs = 1_800_000;

const subject = ({ views }: ViewsInput) => views?.join(', ') ?? 'all materialized views';

function readViews(stored: unknown): ViewsInput | undefined {
  if (typeof stored !== 'object' || stored === null) return undefined;
  const { views } = stored as { views?: unknown };
  if (views === undefined) return {};
  return Array.isArray(views) && views.every(isMaterializable) ? { views } : undefined;
}

function readCopies(database: Database): Promise<MaterializedView[]> {
  return database.transaction({ readOnly: true }, (tx) =>
    readMaterialized(tx, database.capabilities.schema),
  );
}

/** Makes copies of heavy views on request; `drop-materialized` takes them away again. */
export const materialize: Action<Required<ViewsInput>, MaterializeResult> = {
  id: 'materialize',
  title: 'Materialize views',
  requires: ['primary', 'ownership', 'all-rows'],
  exclusive: { name: 'materialize', whenTaken: 'refuse' },
  subject,
  readInput: (stored) => {
    const input = readViews(stored);
    return input?.views && { views: input.views };
  },
  // Rows that a policy hides from the owner would be missing in the copy for everybody.
  tables: () => coreTables,
  async preview({ database }, input) {
    const { copies, wanted } = await missing(database, input);
    const { policy, isProtected } = await database.transaction({ readOnly: true }, async (tx) => ({
      policy: await readPolicy(tx, database.capabilities.schema),
      isProtected: Object.values(database.capabilities.tables).some((table) => table?.rowSecurity),
    }));
    const after = policy?.refreshAfter ?? null;
    const [only] = wanted;
    return {
      title: `Materialize ${wanted.length === 1 && only ? only.view : counted(wanted.length, 'view')}`,
      facts: [
        ...wanted.map((one) => ({ label: one.view, value: `becomes ${placeOfCopy(one)}` })),
        { label: 'Reads', value: 'each view once, as a query of it does' },
        { label: 'Locks', value: 'none that a reader or writer meets' },
        {
          label: 'Refreshed',
          value: after === null ? 'by nobody yet' : `when older than ${after}`,
        },
      ],
      sql: wanted.flatMap((one) => one.statements.slice(0, 2)),
      warnings: [
        'It shows the figures of its last refresh: the column refreshed_at says of when. The view itself stays as it is.',
        ...(after === null
          ? [
              'To have it refreshed: "trace-console maintain policy set --refresh-after 15m", and cron or pg_cron. By hand: V in the console.',
            ]
          : []),
        ...(isProtected
          ? [
              'Row-level security is on, and the copy has the figures of all users: only its owner may read it.',
            ]
          : []),
      ],
      ...(wanted.length === 0
        ? {
            nothing: `They are there: ${copies.map(copyText).join('; ')}. --refresh brings them up to date.`,
          }
        : {}),
    };
  },
  async *run(context, input) {
    const { wanted } = await missing(context.database, input);
    return yield* each(context, 'Materialized', wanted, (one) => [
      `materializing ${one.view}`,
      one.statements,
    ]);
  },
};

type Wanted = { view: MaterializableView; name: string; statements: string[] };

/**
 * The chosen views that have no copy yet, and the copies of the others.
 *
 * @throws ConsoleError
 */
async function missing(
  database: Database,
  { views }: Required<ViewsInput>,
): Promise<{ copies: MaterializedView[]; wanted: Wanted[] }> {
  const { schema, createsSchemas, user } = database.capabilities;
  refuseOnCluster(database);
  const copies = (await readCopies(database)).filter(({ view }) => views.includes(view));
  const wanted = views
    .filter((view) => !copies.some((copy) => copy.view === view))
    .map((view) => {
      const name = copyName(schema, view);
      if (name === undefined) {
        throw new ConsoleError(
          'usage',
          `The name of the schema "${schema}" is too long for that.`,
          {
            hint: 'The copy would be named after schema and view, and a name has 63 bytes at most. Make it by hand.',
          },
        );
      }
      return { view, name, statements: materializeStatements(schema, view, name) };
    });
  const [state] = await database.read<{ creates: boolean | null; absent: string[] }>(
    `SELECT (SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = 'trace_console') AS creates,
       ARRAY(SELECT name FROM unnest($2::text[]) AS name WHERE NOT EXISTS (
         SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE n.nspname = $1 AND c.relname = name AND c.relkind = 'v')) AS absent`,
    [schema, [...views]],
  );
  if (state && state.absent.length > 0) {
    throw new ConsoleError('schema_missing', `${schema} has no view ${state.absent.join(', ')}.`, {
      hint: 'trace-console schema apply creates it.',
    });
  }
  if (wanted.length > 0 && !(state?.creates ?? createsSchemas)) {
    throw new ConsoleError(
      'privilege_missing',
      `Materialize views: refused, "${user}" may not create anything in the schema trace_console.`,
      { hint: 'Connect as the owner of the schema trace_console, or of the database.' },
    );
  }
  return { copies, wanted };
}

/** There a copy would lie on the coordinator, and nobody has seen yet what its refresh reads of the workers. */
function refuseOnCluster({ capabilities }: Database): void {
  if (!hasRowsOnWorkers(capabilities)) return;
  throw new ConsoleError(
    'cluster',
    'Materialize views: refused, the rows lie on workers of the Citus cluster.',
    { hint: 'Ask the view itself: it is answered on the worker that has the schema.' },
  );
}

/** What refreshing and dropping have in common: neither touches a table of the traces. */
const ofCopies = {
  requires: ['primary'],
  exclusive: { name: 'materialize', whenTaken: 'refuse' },
  subject,
  readInput: readViews,
  tables: () => [],
} as const satisfies Partial<Action<ViewsInput, MaterializeResult>>;

type RefreshInput = ViewsInput & {
  /** Only those that are older, in PostgreSQL's words: `15 minutes`. */
  olderThan?: string;
};

/** Brings materialized views up to date, while they are read. */
export const refreshViews: Action<RefreshInput, MaterializeResult> = {
  id: 'refresh-views',
  title: 'Refresh materialized views',
  ...ofCopies,
  offers: [
    {
      command: {
        id: 'refresh-views',
        key: 'V',
        title: 'refresh the materialized views, which show the figures of their last refresh',
      },
      choose: () => ({ title: 'Refresh materialized views', input: {} }),
    },
  ],
  async preview({ database }, input) {
    const { copies, due } = await refreshable(database, input);
    return {
      title: `Refresh ${counted(due.length, 'materialized view')}`,
      facts: [
        { label: 'Reads', value: 'each view once, as a query of it does' },
        { label: 'Locks', value: 'EXCLUSIVE on the copy: who reads it goes on' },
      ],
      list: due.map(copyText),
      sql: due.map(({ name }) => refreshStatement(name)),
      warnings: [],
      ...nothingOf(database, copies, due, input),
    };
  },
  async *run(context, input) {
    const { due } = await refreshable(context.database, input);
    return yield* each(context, 'Refreshed', due, ({ view, name }) => [
      `refreshing ${view}`,
      [refreshStatement(name)],
    ]);
  },
};

function nothingOf(
  { capabilities: { schema } }: Database,
  copies: readonly MaterializedView[],
  due: readonly MaterializedView[],
  { olderThan }: RefreshInput,
): Pick<Preview, 'nothing'> {
  if (due.length > 0) return {};
  if (copies.length === 0) {
    return {
      nothing: `No view of the schema "${schema}" is materialized: trace-console schema materialize does it.`,
    };
  }
  return { nothing: `None is older than ${olderThan ?? ''}: ${copies.map(copyText).join('; ')}.` };
}

/** @throws ConsoleError `privilege_missing` for one that the role may not refresh */
async function refreshable(
  database: Database,
  { views, olderThan }: RefreshInput,
): Promise<{ copies: MaterializedView[]; due: MaterializedView[] }> {
  const copies = await chosenCopies(database, views);
  const [limit] =
    olderThan === undefined
      ? []
      : await database.read<{ ms: number }>(
          `SELECT 1000 * date_part('epoch', $1::interval) AS ms`,
          [olderThan],
        );
  const due = copies.filter(
    ({ ageMs }) => limit === undefined || ageMs === null || ageMs > limit.ms,
  );
  refuseOthers(
    database,
    'Refresh materialized views',
    due.filter((copy) => !copy.mayRefresh),
  );
  const broken = due.find(({ problem }) => problem !== undefined);
  if (broken) {
    throw new ConsoleError('schema_differs', `${placeOfCopy(broken)} ${broken.problem ?? ''}.`, {
      hint: 'trace-console schema materialize --drop, then make it anew.',
    });
  }
  return { copies, due };
}

/** Takes copies away; the views stay. */
export const dropMaterialized: Action<ViewsInput, MaterializeResult> = {
  id: 'drop-materialized',
  title: 'Drop materialized views',
  ...ofCopies,
  async preview({ database }, { views }) {
    const copies = await droppable(database, views);
    return {
      title: `Drop ${counted(copies.length, 'materialized view')}`,
      facts: copies.map((copy): Fact => ({ label: copy.view, value: placeOfCopy(copy) })),
      sql: copies.map(({ name }) => dropStatement(name)),
      warnings: [
        'The views stay, and no row of a trace is touched. What still asks the copy fails from then on.',
      ],
      ...(copies.length === 0 ? { nothing: 'None of them is materialized here.' } : {}),
    };
  },
  async *run(context, { views }) {
    const copies = await droppable(context.database, views);
    return yield* each(context, 'Dropped', copies, ({ view, name }) => [
      `dropping ${view}`,
      [dropStatement(name)],
    ]);
  },
};

async function droppable(
  database: Database,
  views: ViewsInput['views'],
): Promise<MaterializedView[]> {
  const copies = await chosenCopies(database, views);
  refuseOthers(
    database,
    'Drop materialized views',
    copies.filter((copy) => !copy.mayDrop),
  );
  return copies;
}

async function chosenCopies(
  database: Database,
  views: readonly MaterializableView[] = materializableViews,
): Promise<MaterializedView[]> {
  return (await readCopies(database)).filter(({ view }) => views.includes(view));
}

function refuseOthers(
  { capabilities: { user, serverVersion } }: Database,
  title: string,
  copies: readonly MaterializedView[],
): void {
  if (copies.length === 0) return;
  const grant = serverVersion >= 170_000 ? ' To refresh it, GRANT MAINTAIN is enough.' : '';
  throw new ConsoleError(
    'privilege_missing',
    `${title}: refused, "${user}" does not own ${copies.map(placeOfCopy).join(', ')}.`,
    { hint: `${ownerHint}${grant}` },
  );
}

/** One transaction each; cancelled between two of them, or within one that is then rolled back. */
async function* each<One extends { view: MaterializableView }>(
  context: ActionContext,
  verb: string,
  all: readonly One[],
  work: (one: One) => [phase: string, statements: readonly string[]],
): AsyncGenerator<Progress, Outcome<MaterializeResult>> {
  const { signal } = context;
  const isCancelled = () => signal.aborted;
  const done: MaterializableView[] = [];
  const begun = performance.now();
  for (const one of all) {
    if (isCancelled()) break;
    try {
      yield* inOneTransaction(context, ...work(one));
      done.push(one.view);
    } catch (error) {
      if (isCancelled()) break;
      throw error;
    }
  }
  const remaining = all.map(({ view }) => view).filter((view) => !done.includes(view));
  const parts = [
    `${isCancelled() ? `Cancelled; ${verb.toLowerCase()}` : verb} ${done.join(', ') || 'nothing'} in ${formatDuration(performance.now() - begun)}`,
    ...(remaining.length > 0 ? [`not done: ${remaining.join(', ')}`] : []),
  ];
  return {
    summary: `${parts.join('; ')}.`,
    cancelled: isCancelled() && remaining.length > 0,
    result: { done, remaining },
  };
}

/** A pooler in between shares sessions, where nobody can cancel a statement without the risk of hitting the next one. */
async function* inOneTransaction(
  context: ActionContext,
  phase: string,
  statements: readonly string[],
): AsyncGenerator<Progress, void> {
  const { database } = context;
  if (database.capabilities.pooled) {
    yield { phase: `${phase} (behind a pooler there is no progress)` };
    const limits = { statementTimeoutMs: pooledTimeoutMs, lockTimeoutMs };
    await database.transaction(limits, async (tx) => {
      for (const statement of statements) await tx.query(statement);
    });
    return;
  }
  const connection = await connectForMaintenance(database, lockTimeoutMs);
  try {
    await connection.query('BEGIN');
    for (const statement of statements) {
      yield* followStatement(context, connection, statement, { phase, readProgress: readWaits });
    }
    await connection.query('COMMIT');
  } finally {
    await connection.close();
  }
}
