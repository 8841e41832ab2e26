import { byOwnKey } from '../../core/values.js';
import { manifest } from '../../deploy/catalogue.js';
import {
  isNamedAfter,
  isRebuilding,
  cancelBuild,
  findRunningBuilds,
  type RunningBuild,
} from './rebuild-lock.js';
import { formatDuration } from '../../core/format/time.js';
import {
  type Action,
  type ActionContext,
  type Outcome,
  type Progress,
  textsOf,
} from '../action.js';
import { connectForMaintenance, pauseUnlessAborted, readBuildProgress } from '../long-statement.js';
import { dropLeftovers, findLeftovers } from './leftovers.js';
import { reindexCommand } from './rebuild-lock.js';
import { indexRows, isBuilding } from './reindex.js';

/** Which build; default: the one that has run longest. */
export type FollowInput = { index?: string };

export type FollowResult = {
  index: string;
  /** `left`: it goes on. `failed`: it ended without a result. */
  end: 'finished' | 'failed' | 'cancelled' | 'left';
  /** What it left and was dropped. */
  dropped: string[];
};

const pollMs = 500;

/**
 * Takes up a rebuild that was left running on the server, by this console or by one that was killed: shows how
 * far it is, until it ends. Cancelled, the build is cancelled, and what it left is dropped.
 */
export const followBuild: Action<FollowInput, FollowResult> = {
  id: 'follow-build',
  title: 'Follow a rebuild',
  requires: ['primary', 'direct-connection', 'maintain', 'own-rows'],
  subject: ({ index }) => index ?? 'the oldest',
  tables: ({ index }) => {
    const table = index === undefined ? undefined : byOwnKey(manifest.indexes, index)?.table;
    return table === undefined ? [] : [table];
  },
  offers: [
    {
      ...indexRows,
      command: reindexCommand,
      choose(rows) {
        const [index] = textsOf(rows, 'index');
        if (index === undefined || !isBuilding(rows)) return undefined;
        return { title: `Follow the rebuild of ${index}`, input: { index } };
      },
    },
  ],
  preview: async (context, input) => {
    const build = await findBuild(context, input);
    if (!build) {
      return { title: 'Follow a rebuild', facts: [], sql: [], warnings: [], nothing: nothingText };
    }
    return {
      title: `Follow the rebuild of ${build.index}`,
      facts: [
        { label: 'Index', value: `${build.building}, of ${build.table}` },
        {
          label: 'Running',
          value: `for ${formatDuration(1000 * build.seconds)}, pid ${build.pid}`,
        },
      ],
      sql: [],
      warnings: ['It goes on whether it is followed or not; Esc while following cancels it.'],
    };
  },
  run,
};

const nothingText = 'No rebuild that a console of this role began is running.';

async function findBuild({ database }: ActionContext, { index }: FollowInput) {
  const builds = await findRunningBuilds(database);
  return builds.find(
    (build) =>
      index === undefined ||
      [build.index, build.building].includes(index) ||
      isNamedAfter(index, build.index),
  );
}

async function* run(
  context: ActionContext,
  input: FollowInput,
): AsyncGenerator<Progress, Outcome<FollowResult>> {
  const { database, signal, detach } = context;
  const build = await findBuild(context, input);
  if (!build) {
    const result: FollowResult = { index: input.index ?? '', end: 'finished', dropped: [] };
    return { summary: nothingText, cancelled: false, result };
  }
  const { index, pid } = build;
  let cancelled = false;
  while (await isRunning(context, build)) {
    if (detach?.aborted) {
      const result: FollowResult = { index, end: 'left', dropped: [] };
      return { summary: `The server goes on with ${index} alone.`, cancelled: false, result };
    }
    if (signal.aborted && !cancelled) {
      cancelled = true;
      await cancelBuild(database, build);
    }
    const progress = await readBuildProgress(database, pid).catch(() => undefined);
    yield { ...(progress ?? { phase: `rebuilding ${index}` }), detachable: true };
    await pauseUnlessAborted(pollMs, detach ? AbortSignal.any([signal, detach]) : signal);
  }
  return yield* finish(context, build, cancelled);
}

/** The console that began the build may be alive: it then swaps and drops the indexes itself, so nothing is cleaned up here. */
async function isRunning(
  { database }: ActionContext,
  { index, pid, backendStart }: RunningBuild,
): Promise<boolean> {
  const builds = await findRunningBuilds(database);
  if (builds.some((build) => build.pid === pid && build.backendStart === backendStart)) return true;
  return isRebuilding(database, index, pid);
}

/** An invalid index beside it shows that the build did not come to its end. */
async function* finish(
  { database }: ActionContext,
  { index, building }: RunningBuild,
  cancelled: boolean,
): AsyncGenerator<Progress, Outcome<FollowResult>> {
  const { schema } = database.capabilities;
  const left = await database.transaction({ readOnly: true }, (tx) =>
    findLeftovers(tx, schema, { of: index }),
  );
  const broken = left.filter(({ valid }) => !valid);
  const dropped: string[] = [];
  if (broken.length > 0) {
    const connection = await connectForMaintenance(database);
    try {
      const names = broken.map(({ name }) => name);
      const context = { database, signal: new AbortController().signal };
      dropped.push(...(yield* dropLeftovers(context, connection, { names })));
    } finally {
      await connection.close();
    }
  }
  const end = cancelled ? 'cancelled' : broken.length > 0 ? 'failed' : 'finished';
  const summary = {
    cancelled: `Cancelled the rebuild of ${index}; the index is as it was.`,
    failed: `The rebuild of ${index} did not come to its end; the index is as it was.`,
    finished: left.some(({ name, valid }) => valid && name === building)
      ? `${building} is built. Reindex ${index} again to put it in its place.`
      : `The rebuild of ${index} has ended.`,
  }[end];
  return { summary, cancelled, result: { index, end, dropped } };
}
