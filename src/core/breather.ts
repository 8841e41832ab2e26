/**
 * For long work beside a server that answers: between its steps others are let have the thread, at most every `deafMs`
 * milliseconds. While it works nothing is heard, and the server waits with it.
 */
export function breather(deafMs: number): () => Promise<void> {
  let heardAt = performance.now();
  return async () => {
    if (performance.now() - heardAt < deafMs) return;
    await new Promise(setImmediate);
    heardAt = performance.now();
  };
}
