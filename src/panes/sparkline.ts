const signs = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

/**
 * One column a value, as high as the value is beside the highest. Nothing is a blank, and the least that there is can be
 * seen: `▁▂ █▄`.
 */
export function sparkline(values: readonly number[]): string {
  const highest = Math.max(0, ...values);
  return values
    .map((value) =>
      value <= 0 ? ' ' : (signs[Math.ceil((value / highest) * signs.length) - 1] ?? '█'),
    )
    .join('');
}
