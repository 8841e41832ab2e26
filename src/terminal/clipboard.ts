import { forMultiplexer, type Environment } from './multiplexer.js';

/** What to send to the terminal so that its clipboard holds a text, and how much of it fits. */
export type ClipboardCopy = {
  sequence: string;
  copiedBytes: number;
  isCut: boolean;
  /** Why the terminal may not take it, a sentence without its full stop; undefined where most do. */
  doubt: string | undefined;
};

/** Bytes of text in one copy: base64 of it stays below the 100,000 bytes xterm takes. */
export const maxCopyBytes = 74_994;

/**
 * The control sequence (OSC 52) that puts a text into the clipboard of the terminal the reader sits
 * at, also over SSH. Inside tmux it is sent twice: to tmux itself (set-clipboard on) and through it
 * (allow-passthrough on). A text too long for terminals is cut at a character.
 */
export function clipboardCopy(text: string, environment: Environment): ClipboardCopy {
  const whole = Buffer.from(text, 'utf8');
  const bytes = whole.subarray(0, cutBetweenCharacters(whole, maxCopyBytes));
  const copy = `\x1b]52;c;${bytes.toString('base64')}\x07`;
  return {
    sequence: forMultiplexer(copy, environment),
    copiedBytes: bytes.length,
    isCut: bytes.length < whole.length,
    doubt: doubtOf(environment),
  };
}

function cutBetweenCharacters(bytes: Buffer, limit: number): number {
  if (bytes.length <= limit) return bytes.length;
  let end = limit;
  // Bytes 10xxxxxx continue a character of UTF-8.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return end;
}

/** A terminal does not answer whether it took the text; of these it is known that they often do not. */
function doubtOf({ TERM, TERM_PROGRAM, VTE_VERSION, TMUX, STY }: Environment): string | undefined {
  if (TERM === 'linux' || TERM === 'dumb') return 'This terminal has no clipboard';
  if (TERM_PROGRAM === 'Apple_Terminal') return 'Terminal.app does not take it';
  if (VTE_VERSION !== undefined) return 'Terminals of GNOME may not take it';
  if (TMUX !== undefined && TMUX !== '') return 'tmux takes it with: set -g set-clipboard on';
  return STY !== undefined && STY !== '' ? 'GNU screen may not pass it on' : undefined;
}
