// Preloaded into the program under test (node --expose-gc --import …): collects all garbage now and
// then, and writes down what is left. Nothing of it is part of the program.
import fs from 'node:fs';

const { BENCH_HEAP_FILE: file, BENCH_HEAP_EVERY_MS: everyMs } = process.env;

setInterval(() => {
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  fs.appendFileSync(file, `${JSON.stringify({ atMs: performance.now(), heapUsed, external })}\n`);
}, Number(everyMs)).unref();
