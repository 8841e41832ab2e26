/**
 * What a full-screen program switches on: the alternate screen, no cursor, no wrap at the last
 * column, pastes in brackets, and no reordering of right-to-left text by the terminal (ECMA-48 BDSM),
 * which would move the columns beside it.
 */
export const enterModes = '\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?2004h\x1b[8l';

/** The way back, from any state: also ends a half-painted frame, and plain style before the switch. */
export const leaveModes = '\x1b[?2026l\x1b[m\x1b[8h\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l';

/** Ends whatever sequence the terminal is in the middle of. */
export const cancelSequence = '\x18';
