import type { Look } from './look.js';

export type Palette = Readonly<Record<Look, string>>;

/**
 * SGR parameters by meaning. Only the 16 colours that every terminal's own theme makes readable on
 * its background, and none of the bright ones, which vanish on a light one. What must be seen without
 * colours has an attribute besides.
 */
export const terminalPalette: Palette = {
  success: '32',
  running: '36',
  warning: '33',
  error: '31',
  muted: '2',
  accent: '36',
  title: '1',
  focus: '1;36',
  frame: '1;36',
  border: '2',
  heading: '2',
  key: '1',
  selected: '7',
  match: '4;33',
  badge: '7;1',
  alarm: '7;1;31',
  'badge-red': '7;1;31',
  'badge-yellow': '7;1;33',
  'badge-green': '7;1;32',
  'badge-cyan': '7;1;36',
  'badge-blue': '7;1;34',
  'badge-magenta': '7;1;35',
};

export const colourlessPalette: Palette = {
  ...terminalPalette,
  success: '',
  running: '',
  warning: '1',
  error: '1;4',
  accent: '',
  focus: '1',
  frame: '1',
  match: '4',
  alarm: '7;1',
  'badge-red': '7;1',
  'badge-yellow': '7;1',
  'badge-green': '7;1',
  'badge-cyan': '7;1',
  'badge-blue': '7;1',
  'badge-magenta': '7;1',
};

// Of the 256-colour cube, which no terminal's theme changes. Contrast against black and against white was
// computed (WCAG): at least 4.5 for text, 3 for borders; see test/ui/palette.test.ts.

/** Reversed, a terminal's own blue has black letters on it that nobody can read. */
const badges = {
  'badge-red': '1;38;5;231;48;5;160',
  'badge-yellow': '1;38;5;16;48;5;178',
  'badge-green': '1;38;5;231;48;5;28',
  'badge-cyan': '1;38;5;231;48;5;24',
  'badge-blue': '1;38;5;231;48;5;26',
  'badge-magenta': '1;38;5;231;48;5;127',
} as const;

/** For a dark background. */
export const darkPalette: Palette = {
  ...terminalPalette,
  ...badges,
  success: '38;5;114',
  running: '38;5;80',
  warning: '38;5;221',
  error: '38;5;210',
  muted: '38;5;246',
  accent: '38;5;117',
  focus: '1;38;5;117',
  frame: '1;38;5;117',
  match: '4;38;5;221',
  border: '38;5;242',
  heading: '38;5;246',
  alarm: '1;38;5;16;48;5;210',
};

/** For a light background. */
export const lightPalette: Palette = {
  ...terminalPalette,
  ...badges,
  success: '38;5;22',
  running: '38;5;24',
  warning: '38;5;94',
  error: '38;5;124',
  muted: '38;5;240',
  accent: '38;5;25',
  focus: '1;38;5;25',
  frame: '1;38;5;25',
  match: '4;38;5;94',
  border: '38;5;245',
  heading: '38;5;240',
  alarm: '1;38;5;231;48;5;124',
};

/** Nothing is dimmed, and every meaning has an attribute besides its colour. */
export const highContrastPalette: Palette = {
  ...terminalPalette,
  success: '1;32',
  running: '1;36',
  warning: '1;33',
  error: '1;4;31',
  muted: '',
  accent: '1;36',
  focus: '1;7',
  frame: '1',
  match: '1;4;33',
  border: '',
  heading: '4',
};
