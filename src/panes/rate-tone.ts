import type { Tone } from './pane.js';

/** What a success rate (0..1) of so many uses means: good from 80 % on, bad under 50 %. */
export function rateTone(rate: number | null, uses: number): Tone | undefined {
  if (uses === 0 || rate === null) return 'muted';
  if (rate >= 0.8) return 'success';
  return rate < 0.5 ? 'error' : 'warning';
}
