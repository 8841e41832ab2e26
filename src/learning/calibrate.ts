import type { Database } from '../db/database.js';
import { openConsoleTable } from '../deploy/console-schema.js';
import { ConsoleError, readOnlyError } from '../db/errors.js';
import { usualThreshold, type Embedder } from './embedding/embedder.js';
import { requestOf } from './text/prompt-text.js';

/** Cosine similarities below which a twentieth, half, and all but a twentieth or a hundredth of the pairs lie. */
export type Similarities = { pairs: number; p5: number; p50: number; p95: number; p99: number };

export type Calibration = {
  model: string;
  /** What tells that two prompts ask for the same. */
  groupedBy: 'intent' | 'repeated words';
  prompts: number;
  /** Pairs of prompts that ask for the same. */
  within: Similarities;
  /** Pairs that do not, as far as anybody knows. */
  across: Similarities;
  /** The similarity that parts the two best: at which the fewest pairs are on the wrong side. */
  threshold: number;
  /** Of pairs within and across, on the right side of it. */
  separated: { within: number; across: number };
  usual: number;
};

const promptsLookedAt = 2_000;
const pairsOfAKind = 20_000;

/**
 * Measures on the newest prompts how alike those are that ask for the same, and those that do not. The same: as the
 * writers name the intent; without names, prompts of which more than half of the words are the same.
 *
 * @param store keep the threshold for the next learning
 * @throws ConsoleError `not_found` when there are too few prompts
 */
export async function calibrate(
  database: Database,
  embedder: Embedder,
  store: boolean,
  signal?: AbortSignal,
): Promise<Calibration> {
  const rows = await database.read<{ prompt: string; intent: string | null }>(
    `SELECT left(prompt_text, 8000) AS prompt, left(context->>'intent', 200) AS intent
     FROM execution_traces WHERE root_id = correlation_id AND prompt_text IS NOT NULL
     ORDER BY started_at DESC, id LIMIT $1`,
    [promptsLookedAt],
    { statementTimeoutMs: 60_000 },
  );
  const named = rows.filter(({ intent }) => intent !== null).length * 2 >= rows.length;
  const requests = new Map<string, string | null>();
  for (const { prompt, intent } of rows) {
    const request = requestOf(prompt);
    if (request !== undefined && !requests.has(request)) requests.set(request, intent);
  }
  const prompts = [...requests].map(([text, intent]) => ({ text, intent, words: wordSet(text) }));
  const vectors = await embedder.embed(
    prompts.map(({ text }) => text),
    signal,
  );
  const within: number[] = [];
  const across: number[] = [];
  for (const [one, other] of somePairs(prompts.length)) {
    const [a, b] = [prompts[one], prompts[other]];
    const [u, v] = [vectors[one], vectors[other]];
    if (!a || !b || !u || !v) continue;
    // Without names only clear cases count: what lies between may be either.
    const shared = named
      ? Number(a.intent !== null && a.intent === b.intent)
      : jaccard(a.words, b.words);
    const kind = shared > 0.5 ? within : named || shared < 0.1 ? across : undefined;
    if (kind && kind.length < pairsOfAKind) kind.push(dot(u, v));
  }
  if (within.length < 20 || across.length < 20) {
    throw new ConsoleError('not_found', 'There are too few prompts that ask for the same.', {
      hint: 'Calibrate when more turns were recorded; until then the usual threshold holds.',
    });
  }
  const best = separate(within, across);
  const result: Calibration = {
    model: embedder.model,
    groupedBy: named ? 'intent' : 'repeated words',
    prompts: prompts.length,
    within: similarities(within),
    across: similarities(across),
    ...best,
    usual: usualThreshold(embedder.model),
  };
  if (store) await keep(database, result);
  return result;
}

async function keep(database: Database, result: Calibration): Promise<void> {
  const { schema, user } = database.capabilities;
  await database.transaction({}, async (tx) => {
    if (!(await openConsoleTable(tx, 'embedding_thresholds'))) {
      throw new ConsoleError(
        'privilege_missing',
        `"${user}" may not keep thresholds in trace_console.`,
      );
    }
    await tx.query(
      `INSERT INTO trace_console.embedding_thresholds (target_schema, model, threshold, measured)
       VALUES ($1, $2, $3, $4::jsonb)
       ON CONFLICT (target_schema, model) DO UPDATE
       SET threshold = excluded.threshold, measured = excluded.measured, calibrated_at = now()`,
      [schema, result.model, result.threshold, JSON.stringify(result)],
    );
  });
}

/** Pairs in a fixed order that looks random: a calibration gives the same result each time. */
function* somePairs(count: number): Generator<[number, number]> {
  const most = Math.min((count * (count - 1)) / 2, 40 * pairsOfAKind);
  let state = 1;
  const next = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0);
  for (let made = 0; made < most; made += 1) {
    const one = Math.floor((next() / 2 ** 32) * count);
    const other = Math.floor((next() / 2 ** 32) * count);
    if (one !== other) yield [one, other];
  }
}

/**
 * Both kinds weigh the same, however many pairs they have. A hundred wrong joins are worse than a group in two
 * halves: a pair across counts five times.
 */
function separate(within: number[], across: number[]) {
  let best = { from: 100, to: 100, separated: { within: 0, across: 1 }, loss: Infinity };
  for (let hundredths = 5; hundredths < 99; hundredths += 1) {
    const joined = share(within, hundredths / 100);
    const wrong = share(across, hundredths / 100);
    const loss = 1 - joined + 5 * wrong;
    if (loss < best.loss) {
      const separated = { within: joined, across: 1 - wrong };
      best = { from: hundredths, to: hundredths, separated, loss };
    } else if (loss === best.loss && best.to === hundredths - 1) {
      best.to = hundredths;
    }
  }
  // Where the two are clearly apart many part them alike: the middle is the farthest from both.
  const { from, to, separated } = best;
  return { threshold: Math.round((from + to) / 2) / 100, separated };
}

function share(values: readonly number[], threshold: number): number {
  return values.filter((value) => value >= threshold).length / values.length;
}

function similarities(values: number[]): Similarities {
  const sorted = values.toSorted((one, other) => one - other);
  const at = (part: number) =>
    Math.round((sorted[Math.floor(part * (sorted.length - 1))] ?? 0) * 1_000) / 1_000;
  return { pairs: sorted.length, p5: at(0.05), p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

function dot(one: Float32Array, other: Float32Array): number {
  return one.reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0);
}

function wordSet(text: string): Set<string> {
  return new Set(text.toLowerCase().split(' '));
}

function jaccard(one: ReadonlySet<string>, other: ReadonlySet<string>): number {
  const shared = [...one].filter((word) => other.has(word)).length;
  return shared / (one.size + other.size - shared);
}

export type TraceFeedback = {
  /** Of the trace, or of any of its tree: feedback is kept for the root. */
  correlationId: string;
  isGood: boolean;
  note?: string | undefined;
};

const longestNote = 4_000;

/**
 * Keeps what a person says of a turn; a second time replaces the first. The next learning lets it overrule its own
 * judgement. Gives the root's correlation_id.
 *
 * @throws ConsoleError `not_found` when there is no such trace, live or learned from; `privilege_missing`, `read_only`
 */
export async function giveFeedback(
  database: Database,
  { correlationId, isGood, note }: TraceFeedback,
): Promise<string> {
  const { schema, user } = database.capabilities;
  if (database.readOnly) throw readOnlyError('Feedback', database);
  return database.transaction({}, async (tx) => {
    if (!(await openConsoleTable(tx, 'trace_feedback'))) {
      throw new ConsoleError(
        'privilege_missing',
        `"${user}" may not write trace_console.trace_feedback.`,
        {
          hint: `GRANT SELECT, INSERT, UPDATE ON trace_console.trace_feedback TO the role.`,
        },
      );
    }
    const { rows } = await tx.query<{ root: string }>(
      `SELECT root_id AS root FROM execution_traces WHERE correlation_id = $1
       UNION ALL SELECT correlation_id FROM trace_console.learned_traces
       WHERE target_schema = $2 AND correlation_id = $1 LIMIT 1`,
      [correlationId, schema],
    );
    const [trace] = rows;
    if (!trace) {
      throw new ConsoleError('not_found', `There is no trace ${correlationId} to judge.`);
    }
    await tx.query(
      `INSERT INTO trace_console.trace_feedback (target_schema, correlation_id, is_good, note)
       VALUES ($1, $2, $3, $4)
       ON CONFLICT (target_schema, correlation_id) DO UPDATE
       SET is_good = excluded.is_good, note = COALESCE(excluded.note, trace_feedback.note), given_at = now(),
         given_by = current_user, is_learned = false`,
      [schema, trace.root, isGood, note?.slice(0, longestNote) ?? null],
    );
    return trace.root;
  });
}
