import { describe, expect, it } from 'vitest';
import { displayWidth } from '../../src/terminal/width.js';
import { drawChartLines } from '../../src/ui/draw/chart.js';
import { createTheme, type Look } from '../../src/ui/theme.js';
import { looksOf } from './helpers.js';

const looks: readonly Look[] = [
  ...([
    'success',
    'running',
    'warning',
    'error',
    'muted',
    'accent',
    'title',
    'focus',
    'frame',
  ] as const),
  ...(['border', 'heading', 'key', 'selected', 'match', 'badge', 'alarm'] as const),
];

describe('the theme', () => {
  it('uses attributes only where there are no colours', () => {
    const theme = createTheme({ colours: 'none', unicode: true });
    for (const look of looks) expect(theme.styleOf(look)).not.toMatch(/\b(?:3|4|9|10)\d\b/);
    expect(theme.styleOf('error')).not.toBe(theme.styleOf('success'));
    expect(theme.styleOf('selected')).not.toBe('');
  });

  it('uses none of the bright colours, which a light background swallows', () => {
    const theme = createTheme({ colours: '16', unicode: true });
    for (const look of looks) expect(theme.styleOf(look)).not.toMatch(/\b(?:37|9\d)\b/);
  });

  it('tells the curves of a chart apart without colours, and underlines none of their signs', () => {
    for (const theme of [
      createTheme({ colours: 'none', unicode: true }),
      createTheme({ colours: '256', unicode: true }, 'high-contrast'),
    ]) {
      expect(theme.styleOf('curve-error')).not.toBe(theme.styleOf('curve-running'));
      expect(theme.styleOf('curve-error')).not.toMatch(/\b4\b/);
    }
    const chart = {
      title: 'traces',
      curves: [
        { label: 'started', tone: 'running', values: [9, 9, 9, 9] },
        { label: 'failed', tone: 'error', values: [1, 1, 1, 1] },
      ],
      bucketMs: 60_000,
      spanMs: 240_000,
    } as const;
    const theme = createTheme({ colours: 'none', unicode: true });
    const lines = drawChartLines(chart, { width: 40, height: 8 });
    const signsOf = (curve: string) =>
      lines
        .flatMap(looksOf)
        .flatMap(([look, text]) => (look === curve ? [theme.signsOf(text, look)] : []));
    expect(signsOf('curve-error').join('')).toMatch(/^╋━+━ failed$/);
    expect(signsOf('curve-running').join('')).toMatch(/^┼─+─ started$/);
  });

  it('draws with ASCII as wide as its signs where there is no Unicode', () => {
    const theme = createTheme({ colours: 'none', unicode: false });
    const text = '┌─ 1 Traces ─┐ 漢字 … – → ↓ ● █░ ┏━┓ ×';
    const encoded = theme.signsOf(text, undefined);
    expect(encoded).toMatch(/^[\x20-\x7e]*$/);
    expect(encoded).toHaveLength(displayWidth(text));
  });
});
