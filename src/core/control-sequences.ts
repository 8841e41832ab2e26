/**
 * What a terminal takes for a command: CSI, the string sequences (OSC, DCS, SOS, PM, APC) with their
 * terminator, and two-byte escapes. A string sequence without an end loses its introducer only, so
 * that a lone "ESC ]" cannot hide the rest of a text. Content excludes C1, which keeps the match linear.
 */
export const controlSequences =
  // eslint-disable-next-line no-control-regex
  /(?:\x1b\[|\x9b)[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)|\x1b[\x20-\x2f]*[\x30-\x7e]/g;

/** Characters that turn the direction of what follows, and so make a text look like another. */
export const directionMarks = /[\u202a-\u202e\u2066-\u2069]/g;

// eslint-disable-next-line no-control-regex
const controls = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/**
 * A text for outside (the clipboard, a file of CSV) without control sequences and control characters;
 * tabs and line breaks stay. Pasted into a shell, it cannot end the paste and run something.
 */
export function withoutControls(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(controlSequences, '')
    .replace(controls, '')
    .replace(directionMarks, '');
}
