/** A share with the interval in which the true one lies, with 95 % confidence. */
export type Share = { rate: number; low: number; high: number; of: number };

const z = 1.96;

/** Wilson's interval: honest with few observations, never outside 0 to 1. Nothing observed: 0 to 1. */
export function wilson(successes: number, total: number): Share {
  if (total <= 0) return { rate: 0, low: 0, high: 1, of: 0 };
  const rate = successes / total;
  const square = z * z;
  const middle = (rate + square / (2 * total)) / (1 + square / total);
  const half =
    (z * Math.sqrt((rate * (1 - rate)) / total + square / (4 * total * total))) /
    (1 + square / total);
  return { rate, low: Math.max(0, middle - half), high: Math.min(1, middle + half), of: total };
}
