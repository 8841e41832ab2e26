/** In this order: poolers hold connections. */
const order = ['poolers', 'servers', 'databases'] as const;

const ends = new Map<(typeof order)[number], () => Promise<void>>();

/**
 * Has what a test file leaves running ended after it. Helpers say so when they are loaded: to load all of them for each file,
 * most of which need none, took a tenth of a second of processor time a file.
 */
export function afterFile(what: (typeof order)[number], end: () => Promise<void>): void {
  ends.set(what, end);
}

export async function endAll(): Promise<void> {
  for (const what of order) await ends.get(what)?.();
}
