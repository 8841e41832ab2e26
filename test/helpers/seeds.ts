import fc from 'fast-check';

const asked = process.env.TRACE_CONSOLE_FUZZ_SEED;

/**
 * Seeds of the fuzzing tests: each is run again every time. One that once found something is added, and stays.
 * `TRACE_CONSOLE_FUZZ_SEED` names another one to look further with.
 */
export const keptSeeds: readonly [number, ...number[]] =
  asked === undefined ? [1, 20_260_701] : [Number.parseInt(asked, 10)];

// A property without a seed of its own has this one: what fails once fails again, and its report names the seed.
fc.configureGlobal({ seed: keptSeeds[0] });

export { fc };

/** Numbers from 0 to 1 that are the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
