import type { Fact } from '../action.js';
import type { RetentionPolicy } from './policy.js';
import { windowText } from './window.js';

/** A policy for people, a line a rule. */
export function policyFacts(policy: RetentionPolicy): Fact[] {
  const after = (age: string | null, text: string) => (age === null ? 'never' : `${text} ${age}`);
  return [
    { label: 'Traces', value: after(policy.archiveAfter, 'archived when older than') },
    { label: 'Archived', value: after(policy.purgeAfter, 'deleted for good when older than') },
    { label: 'Usage logs', value: after(policy.pruneUsageAfter, 'deleted when older than') },
    {
      label: 'Poor patterns',
      value: after(policy.prunePatternsAfter, 'deleted when unused for'),
    },
    {
      label: 'At',
      value: policy.window === null ? 'any time of day' : windowText(policy.window),
    },
  ];
}
