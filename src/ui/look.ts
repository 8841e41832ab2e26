import type { Tone } from '../panes/contract/column.js';

/** What a connection's badge may be coloured with: red for what hurts most. */
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
