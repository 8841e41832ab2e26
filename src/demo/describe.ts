import { withSeparators } from '../shared/format/number.js';
import type { DemoPlan } from './options.js';
import { demoTag } from './tag.js';

/** What a run would write, for the question before it. */
export function describeDemo({ history, live }: DemoPlan): string[] {
  const lines = [];
  if (history) {
    const days = Math.round(history.lengthMs / 8_640_000) / 10;
    lines.push(
      `would write ${withSeparators(history.traces)} traces over the last ${days} days, about ${withSeparators(12 * history.traces)} rows`,
    );
  }
  if (live) {
    const length = Number.isFinite(live.seconds) ? `for ${live.seconds} s` : 'until stopped';
    lines.push(`would write ${live.rate} traces a second ${length}, about 12 rows each`);
  }
  lines.push(`every row tagged ${demoTag}; "demo --remove" takes them away again`);
  return lines;
}
