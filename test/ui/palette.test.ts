import { describe, expect, it } from 'vitest';
import { badgeColours, darkPalette, lightPalette, type Palette } from '../../src/ui/theme.js';

/** Relative luminance of a colour of the 256-colour cube or its grey ramp, as WCAG 2 defines it. */
function luminance(index: number): number {
  const steps = [0, 95, 135, 175, 215, 255];
  const cube = index - 16;
  const rgb =
    index >= 232
      ? [0, 0, 0].map(() => 8 + 10 * (index - 232))
      : [Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((step) => steps[step] ?? 0);
  const [red = 0, green = 0, blue = 0] = rgb.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: number, other: number): number {
  const [low = 0, high = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

const black = 16;
const white = 231;
const texts = ['success', 'running', 'warning', 'error', 'muted', 'accent', 'heading'] as const;

function colourOf(palette: Palette, look: keyof Palette): number {
  return Number(/38;5;(\d+)/.exec(palette[look])?.[1]);
}

describe.each([
  ['dark', darkPalette, black],
  ['light', lightPalette, white],
] as const)('the %s palette', (_name, palette, background) => {
  it('can be read: a contrast of 4.5 for texts, of 3 for borders', () => {
    for (const look of texts) {
      expect(contrast(colourOf(palette, look), background), look).toBeGreaterThanOrEqual(4.5);
    }
    expect(contrast(colourOf(palette, 'border'), background)).toBeGreaterThanOrEqual(3);
    expect(contrast(colourOf(palette, 'focus'), background)).toBeGreaterThanOrEqual(4.5);
    expect(contrast(colourOf(palette, 'frame'), background)).toBeGreaterThanOrEqual(4.5);
    for (const look of [
      'alarm',
      ...badgeColours.map((colour) => `badge-${colour}` as const),
    ] as const) {
      const [, text, ground] = /38;5;(\d+);48;5;(\d+)/.exec(palette[look]) ?? [];
      expect(contrast(Number(text), Number(ground)), look).toBeGreaterThanOrEqual(4.5);
    }
  });
});
