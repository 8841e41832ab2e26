import type { Tone } from '../panes/contract/column.js';
import type { Appearance } from '../terminal/painter.js';
import { graphemes, graphemeWidth } from '../terminal/width.js';
import type { ColourSupport } from '../terminal/support.js';

/** The colours that a connection's badge may have. */
export const badgeColours = ['red', 'yellow', 'green', 'cyan', 'blue', 'magenta'] as const;

export type BadgeColour = (typeof badgeColours)[number];

const tones = [
  'success',
  'running',
  'warning',
  'error',
  'muted',
  'accent',
] as const satisfies readonly Tone[];

export function isTone(look: Look): look is Tone {
  return (tones as readonly Look[]).includes(look);
}

/** Everything a colour or an attribute can mean on the screen. */
export type Look =
  | PaletteLook
  /** A curve of a chart. */
  | `curve-${Tone}`;

/** The looks that a palette names; those of curves follow from the tones. */
export type PaletteLook =
  | Tone
  /** The name of the program, of a dialog. */
  | 'title'
  /** The title and the border of what has the focus. */
  | 'focus'
  | 'frame'
  | 'border'
  | 'heading'
  /** A key that can be pressed. */
  | 'key'
  /** The chosen row of the focused pane. */
  | 'selected'
  /** What was searched for. */
  | 'match'
  /** A short word that must be seen: read-only, paused. */
  | 'badge'
  /** A short word that says something is wrong. */
  | 'alarm'
  /** The name of a connection. */
  | `badge-${BadgeColour}`;

/**
 * `terminal` keeps to the terminal's own 16 colours, which are readable on whatever background it has;
 * `dark` and `light` say what the background is, and get finer shades for it.
 */
export const themeNames = ['terminal', 'dark', 'light', 'high-contrast', 'none'] as const;

export type ThemeName = (typeof themeNames)[number];

export type ThemeSupport = { colours: ColourSupport; unicode: boolean };

/** What each look is on this terminal: escape sequences and characters. */
export function createTheme(support: ThemeSupport, name: ThemeName = 'terminal'): Appearance {
  const palette = paletteOf(name, support.colours);
  const styles = new Map<string, string>();
  for (const [look, style] of Object.entries(palette) as [PaletteLook, string][]) {
    styles.set(look, style);
    // A curve of underlined signs would have a second line below it.
    if (isTone(look)) styles.set(`curve-${look}`, style.replace(/^4;?|;4(?=;|$)/g, ''));
  }
  const styleOf = (look: string | undefined) => styles.get(look ?? '') ?? '';
  return {
    styleOf,
    signsOf(text, look) {
      const isBoldCurve = look?.startsWith('curve-') === true && styleOf(look) === '1';
      const signs = isBoldCurve ? withHeavySigns(text) : text;
      return support.unicode ? signs : toAscii(signs);
    },
  };
}

/** A curve that has no colour gets heavy signs: bold lines alone look like others in many fonts. */
function withHeavySigns(text: string): string {
  return text.replace(/[─│╭╮╰╯┼┤]/g, (sign) => heavySigns.get(sign) ?? sign);
}

const heavySigns = new Map(
  Object.entries({
    '─': '━',
    '│': '┃',
    '╭': '┏',
    '╮': '┓',
    '╰': '┗',
    '╯': '┛',
    '┼': '╋',
    '┤': '┫',
  }),
);

/** NO_COLOR and a terminal without colours win over the name; finer shades need 256 colours. */
function paletteOf(name: ThemeName, colours: ColourSupport): Palette {
  if (colours === 'none') return colourlessPalette;
  switch (name) {
    case 'none':
      return colourlessPalette;
    case 'high-contrast':
      return highContrastPalette;
    case 'dark':
      return colours === '16' ? terminalPalette : darkPalette;
    case 'light':
      return colours === '16' ? terminalPalette : lightPalette;
    case 'terminal':
      return terminalPalette;
  }
}

export type Palette = Readonly<Record<PaletteLook, string>>;

/**
 * SGR parameters by meaning. Only the 16 colours that every terminal's own theme makes readable on
 * its background, and none of the bright ones, which vanish on a light one. What must be seen without
 * colours has an attribute besides.
 */
const terminalPalette: Palette = {
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

const colourlessPalette: Palette = {
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

/** Fixed colours, because black letters on a terminal's own blue cannot be read. */
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
const highContrastPalette: Palette = {
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

/** Stand-ins of the signs that the console draws with. */
const standIns = new Map(
  Object.entries({
    '…': '~',
    '–': '-',
    '—': '-',
    '→': '>',
    '←': '<',
    '↑': '^',
    '↓': 'v',
    '±': '~',
    '×': 'x',
    '·': '|',
    '●': '*',
    '○': 'o',
    '⏎': ' ',
    '▁': '_',
    '▂': '.',
    '▃': ':',
    '▄': '-',
    '▅': '=',
    '▆': '+',
    '▇': '*',
    '✗': 'x',
    '▸': '>',
    '▾': 'v',
    '█': '#',
    '░': '.',
    '│': '|',
    '┃': '|',
    '─': '-',
    '━': '=',
    '┤': '|',
    '┼': '+',
    '┫': '|',
    '╋': '+',
    '’': "'",
  }),
);

// eslint-disable-next-line no-control-regex
const plain = /^[\x0a\x1b\x20-\x7e]*$/;

/** A text of ASCII only, each sign as wide as the one it stands for. */
export function toAscii(text: string): string {
  if (plain.test(text)) return text;
  let result = '';
  for (const sign of graphemes(text)) {
    if (plain.test(sign)) result += sign;
    else
      result += standIns.get(sign) ?? (isBoxCorner(sign) ? '+' : '?'.repeat(graphemeWidth(sign)));
  }
  return result;
}

function isBoxCorner(sign: string): boolean {
  const unit = sign.charCodeAt(0);
  return sign.length === 1 && unit >= 0x2500 && unit <= 0x257f;
}
