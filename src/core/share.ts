/** A share with the interval in which the true one lies, with 95 % confidence. */
export type Share = { rate: number; low: number; high: number; of: number };

const z = 1.96;

/** Wilson's interval: honest with few observations, never outside 0 to 1. Nothing observed: 0 to 1. */
export function wilson(successes: number, total: number): Share {
  if (total <= 0) return { rate: 0, low: 0, high: 1, of: 0 };
  const rate = successes / total;
  const square = z * z;
  const middle = (rate + square / (2 * total)) / (1 + square / total);
  const half =
    (z * Math.sqrt((rate * (1 - rate)) / total + square / (4 * total * total))) /
    (1 + square / total);
  return { rate, low: Math.max(0, middle - half), high: Math.min(1, middle + half), of: total };
}

/**
 * How a pattern goes lately, of `p`, a row of success_patterns: its last 20 logged uses, or, where fewer than five were logged, the
 * turns that it was learned from, each weighing 0.97 of the one after it. The log by idx_pattern_usage_pattern.
 */
export const latelySql = `
SELECT CASE WHEN log.good + log.bad >= 5 THEN log.good ELSE learned.good END AS good,
  CASE WHEN log.good + log.bad >= 5 THEN log.bad ELSE learned.bad END AS bad
FROM (
  SELECT count(*) FILTER (WHERE u.outcome = 'success')::float8 AS good,
    count(*) FILTER (WHERE u.outcome = 'failure')::float8 AS bad
  FROM (SELECT l.outcome FROM pattern_usage_log AS l WHERE l.pattern_id = p.id AND l.outcome IN ('success', 'failure')
        ORDER BY l.used_at DESC LIMIT 20) AS u) AS log
CROSS JOIN (
  SELECT ${numberIn('good')} AS good, ${numberIn('bad')} AS bad
  FROM (SELECT p.context #> '{learned,recent}' AS recent) AS r) AS learned`;

/** Of JSON that anybody may have written. */
function numberIn(key: string): string {
  return `CASE WHEN jsonb_typeof(recent -> '${key}') = 'number' THEN LEAST(GREATEST((recent ->> '${key}')::numeric, 0), 1e9)::float8
    ELSE 0 END`;
}

/** Fewer uses say nothing of how a pattern goes lately. */
export const leastForLately = 3;

/** The share of successes lately, of what {@link latelySql} counts; null where that is too little to say. */
export function latelyRate({ good, bad }: { good: number; bad: number }): number | null {
  return good + bad < leastForLately ? null : good / (good + bad);
}
