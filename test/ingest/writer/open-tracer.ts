import { onTestFinished } from 'vitest';
import {
  createTracer,
  type Tracer,
  type TracerOptions,
  type WriterProblem,
} from '../../../src/ingest/writer/index.js';

/** A writer that sends at once, and is closed with its test. */
export function openTracer(options: TracerOptions, problems: WriterProblem[]): Tracer {
  const made = createTracer({
    service: 'shop',
    flushMs: 5,
    onProblem: (problem) => problems.push(problem),
    ...options,
  });
  onTestFinished(async () => {
    await made.close(0);
  });
  return made;
}
