import { ConsoleError } from '../db/errors.js';

const units: Partial<Record<string, [word: string, milliseconds: number]>> = {
  s: ['seconds', 1_000],
  m: ['minutes', 60_000],
  h: ['hours', 3_600_000],
  d: ['days', 86_400_000],
  w: ['weeks', 604_800_000],
};

/** `90d` → `90 days`: s, m, h, d or w. */
export function parseAge(text: string, flag: string): { interval: string; milliseconds: number } {
  const match = /^(\d{1,6})\s*([smhdw])$/.exec(text.trim());
  const unit = units[match?.[2] ?? ''];
  if (!match?.[1] || !unit) {
    throw new ConsoleError('usage', `${flag} does not understand "${text}".`, {
      hint: 'A number and a unit: 30s, 10m, 12h, 90d, 4w.',
    });
  }
  return { interval: `${match[1]} ${unit[0]}`, milliseconds: Number(match[1]) * unit[1] };
}
