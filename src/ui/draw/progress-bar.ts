import type { Theme } from '../theme.js';

/** `████████░░░░░░` of exactly `width` columns; `share` is 0..1. */
export function drawProgressBar(theme: Theme, share: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width);
  return theme.paint('accent', '█'.repeat(full)) + theme.paint('muted', '░'.repeat(width - full));
}
