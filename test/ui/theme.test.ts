import { describe, expect, it } from 'vitest';
import { displayWidth } from '../../src/terminal/width.js';
import { createTheme, type Look } from '../../src/ui/theme.js';

const looks: readonly Look[] = [
  ...(['success', 'running', 'warning', 'error', 'muted', 'accent', 'title', 'focus'] as const),
  ...(['border', 'heading', 'key', 'selected', 'match', 'badge', 'alarm'] as const),
];

describe('the theme', () => {
  it('uses attributes only where there are no colours', () => {
    const theme = createTheme({ colours: 'none', unicode: true });
    for (const look of looks) expect(theme.paint(look, 'x')).not.toMatch(/[;[](?:3|4|9|10)\d[;m]/);
    expect(theme.paint('error', 'x')).not.toBe(theme.paint('success', 'x'));
    expect(theme.paint('selected', 'x')).not.toBe('x');
  });

  it('uses none of the bright colours, which a light background swallows', () => {
    const theme = createTheme({ colours: '16', unicode: true });
    for (const look of looks) expect(theme.paint(look, 'x')).not.toMatch(/[;[](?:37|9\d)[;m]/);
  });

  it('draws with ASCII as wide as its signs where there is no Unicode', () => {
    const theme = createTheme({ colours: 'none', unicode: false });
    const text = '┌─ 1 Traces ─┐ 漢字 … – → ↓ ● █░ ┏━┓ ×';
    const encoded = theme.encode(text);
    expect(encoded).toMatch(/^[\x20-\x7e]*$/);
    expect(encoded).toHaveLength(displayWidth(text));
  });
});
