import type { Tone } from '../panes/pane.js';
import type { ColourSupport } from '../terminal/colour-support.js';
import { toAscii } from './ascii.js';

/** Everything a colour or an attribute can mean on the screen. */
export type Look =
  | Tone
  /** The name of the program, of a dialog. */
  | 'title'
  /** Border and title of the pane that has the keys. */
  | 'focus'
  | 'border'
  | 'heading'
  /** A key that can be pressed. */
  | 'key'
  /** The chosen row of the pane that has the keys. */
  | 'selected'
  /** A short word that must be seen: read-only, paused. */
  | 'badge'
  /** A short word that says something is wrong. */
  | 'alarm';

/**
 * SGR parameters by meaning. Only the 16 colours that every terminal's own theme makes readable on
 * its background, and none of the bright ones, which vanish on a light one. What must be seen without
 * colours has an attribute besides.
 */
const withColours: Readonly<Record<Look, string>> = {
  success: '32',
  running: '36',
  warning: '33',
  error: '31',
  muted: '2',
  accent: '36',
  title: '1',
  focus: '1;36',
  border: '2',
  heading: '2',
  key: '1',
  selected: '7',
  badge: '7;1',
  alarm: '7;1;31',
};

const withoutColours: Readonly<Record<Look, string>> = {
  ...withColours,
  success: '',
  running: '',
  warning: '1',
  error: '1;4',
  accent: '',
  focus: '1',
  alarm: '7;1',
};

export type Theme = {
  /** A text with the look of its meaning; every painted piece ends by itself. */
  paint(look: Look | undefined, text: string): string;
  /** The control sequence that begins a look, for asciichart; '' where it has none. */
  start(look: Look): string;
  /** Last step before the screen: without Unicode every sign has a stand-in as wide as itself. */
  encode(text: string): string;
};

export function createTheme(support: { colours: ColourSupport; unicode: boolean }): Theme {
  const looks = support.colours === 'none' ? withoutColours : withColours;
  return {
    paint(look, text) {
      const parameters = look === undefined ? '' : looks[look];
      return parameters === '' || text === '' ? text : `\x1b[${parameters}m${text}\x1b[0m`;
    },
    start: (look) => (looks[look] === '' ? '' : `\x1b[${looks[look]}m`),
    encode: support.unicode ? (text) => text : toAscii,
  };
}
