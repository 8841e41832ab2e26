import { boundedText } from '../../db/quote.js';
import type { Queryable } from '../../db/queryable.js';
import type { ComparedFigures, ReadRequest } from '../contract/pane.js';
import { hasColumn, type SchemaShape } from '../contract/shape.js';
import { columnOf, type CallSource } from './calls.js';
import { timed } from './late-rows.js';
import { CallsReader, type CallGroup } from './calls-reader.js';
import { longestComparedMs, WindowBefore } from './comparison.js';

/** Logged uses of patterns in the window and in the one before. */
export type PatternUses = {
  byId: ReadonlyMap<string, ComparedFigures> | undefined;
  /** Of a pattern that was used in neither window. */
  none: ComparedFigures | null;
  /** How much of both windows is counted, 0..1. */
  share: number;
};

/** They are not counted. */
export const noUses: PatternUses = { byId: undefined, none: null, share: 1 };

/** Counts logged uses; a reading costs what came since the last one. */
export class PatternUsesReader {
  readonly #calls = new CallsReader({ source: patternUses });
  readonly #before = new WindowBefore({ source: patternUses });

  /** Logged uses by the id of their pattern, of both windows; longer windows than a day are not compared. */
  async read(tx: Queryable, request: ReadRequest): Promise<PatternUses> {
    if (request.windowMs > longestComparedMs || !isLogged(request.shape)) return noUses;
    const compared = await this.#before.readWith(this.#calls, tx, request);
    const { found: now, before, share } = compared;
    const then = new Map([...(before?.values() ?? [])].map((group) => [group.groups[0], group]));
    const zero = before === null ? null : 0;
    const figuresOf = (is: CallGroup | undefined, was: CallGroup | undefined): ComparedFigures => ({
      calls: { now: is?.calls ?? 0, before: was?.calls ?? zero },
      failures: { now: is?.failures ?? 0, before: was?.failures ?? zero },
      p95Ms: { now: is?.p95Ms ?? null, before: was?.p95Ms ?? null },
    });
    const is = new Map(now.groups.map((group) => [group.groups[0], group]));
    const byId = new Map(
      [...new Set([...is.keys(), ...then.keys()])].flatMap((id) =>
        typeof id === 'string' ? [[id, figuresOf(is.get(id), then.get(id))] as const] : [],
      ),
    );
    return { byId, none: figuresOf(undefined, undefined), share };
  }

  reset(): void {
    this.#calls.reset();
    this.#before.reset();
  }
}

function isLogged(shape: SchemaShape): boolean {
  return ['pattern_id', 'used_at', 'outcome'].every((column) =>
    hasColumn(shape, 'pattern_usage_log', column),
  );
}

/** Logged uses by pattern. By idx_pattern_usage_used_at. */
export function patternUses(shape: SchemaShape): CallSource {
  const column = columnOf(shape, 'pattern_usage_log', 'u');
  return {
    from: 'pattern_usage_log AS u',
    at: 'u.used_at',
    groups: ['u.pattern_id::text'],
    failed: "u.outcome = 'failure'",
    inProgress: 'false',
    duration: column('actual_duration_ms', 'bigint'),
    sums: [],
    reads: [timed.uses],
  };
}

/** As {@link patternUses}, with the names of the patterns. It looks up one row a use, so it is too slow to be asked again and again. */
export function namedPatternUses(shape: SchemaShape): CallSource {
  const uses = patternUses(shape);
  const name = `(SELECT ${boundedText("COALESCE(NULLIF(p.intent_classification, ''), p.pattern_hash)", 200)}
    FROM success_patterns AS p WHERE p.id = u.pattern_id)`;
  return { ...uses, groups: [...uses.groups, name] };
}
