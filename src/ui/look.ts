import type { Tone } from '../panes/pane.js';

/** What a connection's badge may be coloured with: red for what hurts most. */
export const badgeColours = ['red', 'yellow', 'green', 'cyan', 'blue', 'magenta'] as const;

export type BadgeColour = (typeof badgeColours)[number];

/** Everything a colour or an attribute can mean on the screen. */
export type Look =
  | Tone
  /** The name of the program, of a dialog. */
  | 'title'
  /** The title of what has the keys, and its border. */
  | 'focus'
  | 'frame'
  | 'border'
  | 'heading'
  /** A key that can be pressed. */
  | 'key'
  /** The chosen row of the pane that has the keys. */
  | 'selected'
  /** What was searched for. */
  | 'match'
  /** A short word that must be seen: read-only, paused. */
  | 'badge'
  /** A short word that says something is wrong. */
  | 'alarm'
  /** The name of a connection. */
  | `badge-${BadgeColour}`;
