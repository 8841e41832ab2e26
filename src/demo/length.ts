import { ConsoleError } from '../db/errors.js';

const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 } as const;

/**
 * A length of time in milliseconds: `120d`, `36h`, `90m`, `2w`, `1.5d`.
 *
 * @throws ConsoleError `usage`
 */
export function parseLength(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([smhdw])$/.exec(text.trim().toLowerCase()) ?? [];
  if (number === undefined || unit === undefined) {
    throw new ConsoleError('usage', `"${text}" is no length of time.`, {
      hint: 'Give a number with a unit: 120d, 36h, 90m.',
    });
  }
  return Number(number) * units[unit as keyof typeof units];
}

/**
 * A moment as milliseconds since 1970; without an offset it is UTC.
 *
 * @throws ConsoleError `usage`
 */
export function parseStart(text: string): number {
  const hasOffset = /(z|[+-]\d\d:?\d\d)$/i.test(text) || !text.includes('T');
  const time = Date.parse(hasOffset ? text : `${text}Z`);
  if (Number.isFinite(time)) return time;
  throw new ConsoleError('usage', `"${text}" is no moment in time.`, {
    hint: 'Give it as 2026-03-29T12:00:00Z.',
  });
}
