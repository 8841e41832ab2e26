import { Random } from '../random.js';
import type { ErrorRow } from '../rows.js';
import { demoTag } from '../tag.js';
import { errorKind } from '../vocabulary/failures.js';
import type { Run } from './tree.js';

type Where = Partial<Pick<ErrorRow, 'agent_name' | 'hook_type' | 'endpoint_url'>>;

/** Notes one occurrence of an error for error_patterns. */
export function noteError(run: Run, errorType: string, where: Where): void {
  const { clock, recorder } = run.tree;
  const { resolutionSuccessRate, ...kind } = errorKind(errorType);
  const place = where.endpoint_url ?? where.hook_type ?? where.agent_name ?? '';
  const fingerprint = `${demoTag}:${errorType}:${place}`;
  recorder.error({
    id: new Random('error', fingerprint).uuid(),
    created_at: clock.now,
    updated_at: clock.now,
    fingerprint,
    error_type: errorType,
    ...kind,
    agent_name: where.agent_name ?? null,
    hook_type: where.hook_type ?? null,
    endpoint_url: where.endpoint_url ?? null,
    occurrence_count: 1,
    first_occurrence_at: clock.now,
    last_occurrence_at: clock.now,
    example_trace_ids: [run.trace.id],
    resolution_success_rate: resolutionSuccessRate,
    resolved_at: null,
    tags: [demoTag],
  });
}
