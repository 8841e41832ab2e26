import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

type Sample = { atMs: number; heapUsed: number; external: number };

/** What stays on the heap of a Node program after all garbage was collected, again and again. */
export class HeapWatch {
  readonly #folder = mkdtempSync(path.join(os.tmpdir(), 'trace-console-heap-'));
  readonly #file = path.join(this.#folder, 'samples');
  readonly #everyMs: number;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** Flags of `node` that make the program report. */
  get flags(): string[] {
    return ['--expose-gc', '--import', path.join(import.meta.dirname, 'heap-watch.mjs')];
  }

  get environment(): Record<string, string> {
    return { BENCH_HEAP_FILE: this.#file, BENCH_HEAP_EVERY_MS: String(this.#everyMs) };
  }

  /** Megabytes at the first and the last look after `sinceMs` of the program's life, and the slope between. */
  summary(sinceMs: number): string {
    const samples = this.#samples().filter(({ atMs }) => atMs >= sinceMs);
    const [first] = samples;
    const last = samples.at(-1);
    if (!first || !last || samples.length < 3) return 'too short to say';
    const mb = ({ heapUsed, external }: Sample) => ((heapUsed + external) / 2 ** 20).toFixed(1);
    const minutes = ((last.atMs - first.atMs) / 60_000).toFixed(1);
    const late = samples.slice(Math.floor(samples.length / 2));
    return (
      `${mb(first)} MB, ${minutes} min later ${mb(last)} MB; ` +
      `${slope(samples)} kB a minute, in the second half ${slope(late)} (${samples.length} looks)`
    );
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #samples(): Sample[] {
    if (!existsSync(this.#file)) return [];
    const lines = readFileSync(this.#file, 'utf8').trimEnd().split('\n');
    return lines.map((line) => JSON.parse(line) as Sample);
  }
}

/** Kilobytes a minute of the line that fits the samples best (least squares). */
function slope(samples: readonly Sample[]): string {
  const mean = (value: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + value(sample), 0) / samples.length;
  const minutes = ({ atMs }: Sample) => atMs / 60_000;
  const kilobytes = ({ heapUsed, external }: Sample) => (heapUsed + external) / 1024;
  const [middle, level] = [mean(minutes), mean(kilobytes)];
  const together = mean((sample) => (minutes(sample) - middle) * (kilobytes(sample) - level));
  const spread = mean((sample) => (minutes(sample) - middle) ** 2);
  return (together / spread).toFixed(1);
}
