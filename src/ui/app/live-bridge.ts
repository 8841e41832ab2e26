import type { LiveSource } from '../../live/source.js';
import type { LiveState } from '../../live/state.js';

/** Answers to one round of questions come close together: they are drawn together. */
const gatherMs = 80;
/** Data is drawn at most this often; keys are drawn at once. */
const betweenMs = 400;
/** In the beginning every pane is waited for. */
const impatientMs = 3_000;

/** Hands the engine's state on, at most 2.5 times a second. */
export function bridgeLive(engine: LiveSource, show: (live: LiveState) => void): () => void {
  const startedAt = performance.now();
  let shownAt = 0;
  let timer: NodeJS.Timeout | undefined;
  const showNow = () => {
    timer = undefined;
    shownAt = performance.now();
    show(engine.getState());
  };
  const unsubscribe = engine.subscribe(() => {
    if (timer) return;
    const now = performance.now();
    const wait = now - startedAt < impatientMs ? 15 : Math.max(gatherMs, shownAt + betweenMs - now);
    timer = setTimeout(showNow, wait);
  });
  return () => {
    clearTimeout(timer);
    unsubscribe();
  };
}
