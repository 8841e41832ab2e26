/**
 * Marks every row that the demo owns: in `tags` of execution_traces, success_patterns,
 * agent_chaining_patterns and error_patterns. All other rows belong to one of those.
 */
export const demoTag = 'trace-console-demo';

/**
 * Marks the demo's rows of pattern_usage_log, which has no tags, under this key of `deviations`:
 * a log outlives its trace when that is archived and purged.
 */
export const demoUsageMarker = { generator: demoTag } as const;
