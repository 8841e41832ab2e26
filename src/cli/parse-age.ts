import { ConsoleError } from '../db/errors.js';

const units: Partial<Record<string, [word: string, milliseconds: number]>> = {
  s: ['second', 1_000],
  m: ['minute', 60_000],
  h: ['hour', 3_600_000],
  d: ['day', 86_400_000],
  w: ['week', 604_800_000],
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
  const count = Number(match[1]);
  return {
    interval: `${count} ${unit[0]}${count === 1 ? '' : 's'}`,
    milliseconds: count * unit[1],
  };
}
