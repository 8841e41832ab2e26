import type { ColourSupport } from '../terminal/colour-support.js';
import { toAscii } from './ascii.js';
import type { Look } from './look.js';
import {
  colourlessPalette,
  darkPalette,
  highContrastPalette,
  lightPalette,
  terminalPalette,
  type Palette,
} from './palette.js';

export type { Look } from './look.js';

/**
 * `terminal` keeps to the terminal's own 16 colours, which are readable on whatever background it has;
 * `dark` and `light` say what the background is, and get finer shades for it.
 */
export const themeNames = ['terminal', 'dark', 'light', 'high-contrast', 'none'] as const;

export type ThemeName = (typeof themeNames)[number];

export type Theme = {
  /** A text with the look of its meaning; every painted piece ends by itself. */
  paint(look: Look | undefined, text: string): string;
  /** The control sequence that begins a look for the signs of a curve, without an underline; '' where it has none. */
  start(look: Look): string;
  /** Last step before the screen: without Unicode every sign has a stand-in as wide as itself. */
  encode(text: string): string;
};

export type ThemeSupport = { colours: ColourSupport; unicode: boolean };

export function createTheme(support: ThemeSupport, name: ThemeName = 'terminal'): Theme {
  const looks = paletteOf(name, support.colours);
  return {
    paint(look, text) {
      const parameters = look === undefined ? '' : looks[look];
      return parameters === '' || text === '' ? text : `\x1b[${parameters}m${text}\x1b[0m`;
    },
    start(look) {
      // A curve of underlined signs would have a second line below it.
      const parameters = looks[look].split(';').filter((each) => each !== '4');
      return parameters.join('') === '' ? '' : `\x1b[${parameters.join(';')}m`;
    },
    encode: support.unicode ? (text) => text : toAscii,
  };
}

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
