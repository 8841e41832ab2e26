import type { Progress } from '../../src/maintenance/action.js';

/** Runs an action to its end and keeps what it told on the way. */
export async function collect<Outcome>(
  events: AsyncGenerator<Progress, Outcome>,
  onProgress: (progress: Progress) => unknown = () => undefined,
): Promise<{ progress: Progress[]; outcome: Outcome }> {
  const progress: Progress[] = [];
  for (;;) {
    const event = await events.next();
    if (event.done) return { progress, outcome: event.value };
    progress.push(event.value);
    await onProgress(event.value);
  }
}
