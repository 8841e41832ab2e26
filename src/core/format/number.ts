const scales = [
  [1e15, 'P'],
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

/**
 * A count, at most 6 columns wide: whole and with separators up to 99,999, then `408k`, `1.25M`,
 * `10.0M`. NULL is `–`.
 */
export function formatCount(count: number | null | undefined): string {
  if (count === null || count === undefined || !Number.isFinite(count)) return '–';
  if (count < 0) return `-${formatCount(-count)}`;
  if (count < 99_999.5) return withSeparators(Math.round(count));
  for (const [size, letter] of scales) {
    // The border is where three digits would round up to the next unit: 999,500 is 1.00M.
    if (count >= size * 0.9995) return `${threeDigits(count / size)}${letter}`;
  }
  return withSeparators(Math.round(count));
}

/** A count in full, for reports: `408,490`. */
export function withSeparators(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** How many there are of something, for reports: `1 trace`, `408,490 traces`, `2 entries`. */
export function counted(count: number, one: string, many = pluralOf(one)): string {
  return `${withSeparators(count)} ${count === 1 ? one : many}`;
}

/** As {@link counted}, the number as {@link formatCount} writes it: `408k traces`. */
export function countedShort(count: number | null, one: string, many = pluralOf(one)): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

function pluralOf(one: string): string {
  if (/[^aeiou]y$/.test(one)) return `${one.slice(0, -1)}ies`;
  return /(?:s|x|ch|sh)$/.test(one) ? `${one}es` : `${one}s`;
}

/** Whether a unit is one of sizes, which stands with a rate, too: `3.2 MB/s`. */
export const isSize = (unit: string): boolean => /^[kMGT]?B$/.test(unit);

/** A rate a second, at most 6 columns wide with its unit: `<.1/s`, `0.4/s`, `51/s`, `1.2k/s`; of sizes `3.2 MB/s`. */
export function formatRate(perSecond: number | null | undefined, unit = ''): string {
  if (isSize(unit)) return formatRate(perSecond).replace('/s', ` ${unit}/s`);
  if (perSecond === null || perSecond === undefined || !Number.isFinite(perSecond)) return '–';
  if (perSecond === 0) return '0/s';
  if (perSecond < 0.05) return '<.1/s';
  if (perSecond < 9.95) return `${perSecond.toFixed(1)}/s`;
  if (perSecond < 999.5) return `${Math.round(perSecond)}/s`;
  for (const [size, letter] of scales) {
    if (perSecond >= size * 0.9995) {
      const value = perSecond / size;
      return `${value.toFixed(value < 9.95 ? 1 : 0)}${letter}/s`;
    }
  }
  return `${Math.round(perSecond)}/s`;
}

/** A share in 0..1 as a percentage, 4 columns at most: `0%`, `0.4%`, `12%`, `100%`; never rounds up to 100. */
export function formatShare(share: number | null | undefined): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return '–';
  const percent = share * 100;
  if (percent === 0) return '0%';
  if (percent < 0.1) return '<.1%';
  if (percent < 9.95) return `${percent.toFixed(1)}%`;
  if (percent < 100) return `${Math.min(99, Math.round(percent))}%`;
  return `${Math.round(percent)}%`;
}

/**
 * By how much something changed, as a share of what it was, at most 5 columns: `+40%`, `-12%`, `=`; `new` where there was
 * nothing (Infinity).
 */
export function formatChange(change: number | null | undefined): string {
  if (change === null || change === undefined || Number.isNaN(change)) return '–';
  if (change === Infinity) return 'new';
  const percent = Math.round(100 * change);
  if (percent === 0) return '=';
  return percent > 999 ? '>999%' : `${percent > 0 ? '+' : ''}${percent}%`;
}

/** US dollars, 8 columns at most: `$0.0031`, `$0.42`, `$1,204`, `$1.25M`. NULL is `–`. */
export function formatMoney(usd: number | null | undefined): string {
  if (usd === null || usd === undefined || !Number.isFinite(usd)) return '–';
  if (usd < 0) return `-${formatMoney(-usd)}`;
  if (usd === 0) return '$0';
  if (usd < 0.00005) return '<$.0001';
  if (usd < 0.09995) return `$${usd.toFixed(4)}`;
  return usd < 999.995 ? `$${usd.toFixed(2)}` : `$${formatCount(usd)}`;
}

function threeDigits(value: number): string {
  if (value < 9.995) return value.toFixed(2);
  if (value < 99.95) return value.toFixed(1);
  return value.toFixed(0);
}

const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/**
 * Bytes as PostgreSQL's pg_size_pretty counts them (1 kB = 1024), at most 7 columns wide: `812 B`,
 * `8.0 kB`, `490 MB`, `1.2 TB`. NULL is `–`.
 */
export function formatBytes(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined || !Number.isFinite(bytes)) return '–';
  if (bytes < 0) return `-${formatBytes(-bytes)}`;
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 9.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit] ?? ''}`;
}

/** A change in bytes with its sign: `+1.2 MB`, `-8.0 kB`, `0 B`. */
export function formatByteChange(bytes: number | null | undefined): string {
  const text = formatBytes(bytes);
  return bytes !== null && bytes !== undefined && bytes > 0 ? `+${text}` : text;
}
