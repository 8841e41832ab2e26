import { groupBy } from '../../core/values.js';

/** One use of a tool in a turn, in the order of time. */
export type ToolStep = {
  name: string;
  /** The command of a shell, its start. */
  command: string | null;
  isFailed: boolean;
};

/** Something that went wrong in a turn. */
export type ErrorEvent = {
  errorType: string;
  message: string;
  agent: string;
  hookType: string | null;
  endpointUrl: string | null;
  /** The trace it happened in. */
  traceId: string;
  /** It ended its trace. */
  isFatal: boolean;
  /** The tools that were used after it, in the same turn. */
  then: readonly string[];
  /** Milliseconds since 1970. */
  at: number;
};

/** A turn with all that agents did for it: what is learned from. Times are milliseconds since 1970. */
export type Turn = {
  correlationId: string;
  /** The id of the root's row. */
  traceId: string;
  sessionId: string;
  prompt: string | null;
  /** What the writer calls the intent, if it says one. */
  intent: string | null;
  status: string;
  /** False: its end was only assumed, because no source told of it. */
  isEndKnown: boolean;
  success: boolean | null;
  startedAt: number;
  endedAt: number;
  durationMs: number | null;
  /** US dollars of the whole tree; null when no trace has a cost. */
  costUsd: number | null;
  agent: string;
  strategy: string | null;
  /** The agents in the order in which they began; one that follows itself stands once. */
  agents: readonly string[];
  /** Levels below the root. */
  depth: number;
  /** Time of parents that no child explains, summed over the tree. */
  overheadMs: number;
  tools: readonly ToolStep[];
  /** `PreToolUse format-on-save`: the hooks that ran, each once. */
  hooks: readonly string[];
  services: ReadonlyMap<string, number>;
  errors: readonly ErrorEvent[];
};

/** A trace in its place, in milliseconds since 1970. */
export type TimedTrace = {
  correlation_id: string;
  parent_id: string | null;
  started_at: number;
  completed_at: number | null;
};

/** Levels that are followed; deeper ones, or a circle of parents, count as so deep. */
const deepest = 32;

/** Longer than ten years is a clock that was wrong; summed up, such would leave the range of a bigint. */
export const longestMs = 315_360_000_000;

/** Levels below the root. */
export function depthOf(tree: readonly TimedTrace[]): number {
  const parents = new Map(tree.map(({ correlation_id, parent_id }) => [correlation_id, parent_id]));
  let most = 0;
  for (const { parent_id } of tree) {
    let depth = 0;
    for (let id = parent_id; id !== null && depth < deepest; depth += 1) {
      id = parents.get(id) ?? null;
    }
    most = Math.max(most, depth);
  }
  return most;
}

/** For each trace with children: its time less the time in which at least one child ran. */
export function overheadOf(tree: readonly TimedTrace[]): number {
  const byParent = groupBy(tree, ({ parent_id }) => parent_id ?? '');
  let overhead = 0;
  for (const trace of tree) {
    const children = byParent.get(trace.correlation_id);
    if (!children || trace.completed_at === null) continue;
    const end = trace.completed_at;
    let covered = 0;
    let reached = trace.started_at;
    // Rows are in the order of their start.
    for (const child of children) {
      const from = Math.max(child.started_at, reached);
      const to = Math.min(child.completed_at ?? end, end);
      if (to <= from) continue;
      covered += to - from;
      reached = to;
    }
    overhead += Math.max(0, end - trace.started_at - covered);
  }
  return Math.min(Math.round(overhead), longestMs);
}

/** Equal neighbours as one. */
export function collapsed(names: readonly string[]): string[] {
  return names.filter((name, index) => name !== names[index - 1]);
}

/** Those that begin at the same moment have no order: by name, so that equal turns have one chain. */
export function agentsInOrder(
  first: string,
  others: readonly { agent: string; at: number }[],
): string[] {
  const sorted = others.toSorted(
    (one, other) => one.at - other.at || (one.agent < other.agent ? -1 : 1),
  );
  return collapsed([first, ...sorted.map(({ agent }) => agent)]);
}

/**
 * How a turn was judged: the first that fits. Only `completed`, and good feedback, is good. A turn whose end nobody saw is
 * `unknown`: neither good nor bad, and counted nowhere.
 */
export type Judgement =
  | 'completed'
  | 'unknown'
  | 'failed'
  | 'timeout'
  | 'interrupted'
  | 'reported'
  | 'tests_failed'
  | 'corrected'
  | 'repeated'
  | 'feedback';

export type Verdict = { isGood: boolean; by: Judgement };

const testCommand =
  /\b(?:(?:npm|pnpm|yarn|bun)(?: run)? test\b|vitest|jest|mocha|pytest|unittest|tox|cargo (?:test|nextest)|go test|rspec|phpunit|ctest|(?:mvn|gradle|gradlew|make|deno|swift|dotnet) (?:\S+ )?test)\b/;

/** How a turn ended, as far as the turn itself tells. */
export function judge(turn: Pick<Turn, 'status' | 'isEndKnown' | 'success' | 'tools'>): Verdict {
  if (!turn.isEndKnown) return bad('unknown');
  if (turn.status === 'cancelled') return bad('interrupted');
  if (turn.status === 'timeout') return bad('timeout');
  if (turn.status !== 'completed') return bad('failed');
  if (turn.success === false) return bad('reported');
  if (lastTestRun(turn.tools)?.isFailed) return bad('tests_failed');
  return { isGood: true, by: 'completed' };
}

function bad(by: Judgement): Verdict {
  return { isGood: false, by };
}

function lastTestRun(tools: readonly ToolStep[]): ToolStep | undefined {
  return tools.findLast(({ command }) => command !== null && testCommand.test(command));
}

/** A correction comes soon: later a person has moved on. */
const correctedWithinMs = 15 * 60_000;

const correction =
  /^\W*(?:no(?:pe)?(?=[\s,.!:;—-]|$)(?! (?:problem|worries|need|rush|hurry|new|more|other|matter))|wrong\b|incorrect\b|undo\b|revert (?:that|this|it|your)\b|stop\b(?=[,.!]|\s*$)|that(?:['’]s| is| was) (?:not|wrong)\b|this is (?:not|wrong)\b|not what\b|you (?:broke|missed|forgot|ignored|did ?n['’]?o?t)\b|still (?:fail|broken|not|wrong|the same|does)|(?:it |that |this )?(?:still )?(?:does ?n['’]?o?t|did ?n['’]?o?t) (?:work|help|compile|build)|why did you\b|i said\b|nein\b)/i;

/** Whether a prompt says that the turn before it was no good: "no, …", "still fails", "that is wrong". */
export function isCorrection(prompt: string): boolean {
  return correction.test(prompt.slice(0, 200));
}

/** Whether two prompts ask for the same of the same: all but a few words of them are equal. */
export function isRepeat(prompt: string, before: string): boolean {
  const [words, wordsBefore] = [exactWords(prompt), exactWords(before)];
  if (words.size < 4 || wordsBefore.size < 4) return false;
  const shared = [...words].filter((word) => wordsBefore.has(word)).length;
  return shared / (words.size + wordsBefore.size - shared) >= 0.85;
}

/** Numbers and paths count here: the same request about another file is no repeat. */
function exactWords(prompt: string): Set<string> {
  return new Set(prompt.slice(0, 1_000).toLowerCase().split(/\s+/).filter(Boolean));
}

/** What the next prompt of the session says of the turn before it; undefined when nothing. */
export function judgeByNext(
  before: { prompt: string | null; endedAt: number },
  next: { prompt: string | null; startedAt: number },
): Verdict | undefined {
  if (next.prompt === null || next.startedAt - before.endedAt > correctedWithinMs) return undefined;
  if (isCorrection(next.prompt)) return bad('corrected');
  if (before.prompt !== null && isRepeat(next.prompt, before.prompt)) return bad('repeated');
  return undefined;
}
