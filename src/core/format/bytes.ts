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
