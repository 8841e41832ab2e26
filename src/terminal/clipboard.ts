import { withoutControls } from '../core/control-sequences.js';
import { safeLine } from './sanitise.js';

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
 * (allow-passthrough on). A text too long for terminals is cut at a character. Control sequences are
 * left out: the end of a bracketed paste in a prompt would let the rest of it run in a shell.
 */
export function clipboardCopy(text: string, environment: Environment): ClipboardCopy {
  const whole = Buffer.from(withoutControls(text), 'utf8');
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

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * A control sequence for the terminal outside. Inside tmux it is sent twice: to tmux itself and through
 * it (allow-passthrough on).
 */
function forMultiplexer(sequence: string, environment: Environment): string {
  const { TMUX, STY } = environment;
  if (TMUX !== undefined && TMUX !== '') {
    return `${sequence}\x1bPtmux;${sequence.replaceAll('\x1b', '\x1b\x1b')}\x1b\\`;
  }
  // GNU screen passes device control strings of up to 768 bytes on.
  if (STY !== undefined && STY !== '') {
    return (sequence.match(/[^]{1,700}/g) ?? []).map((part) => `\x1bP${part}\x1b\\`).join('');
  }
  return sequence;
}

/** More than a notification shows. */
const longest = 200;

/**
 * The control sequence (OSC 9) by which iTerm2, kitty, WezTerm, ghostty, foot and Windows Terminal show a
 * desktop notification; other terminals ignore it.
 */
export function notification(text: string, environment: Environment): string {
  // A number before the first semicolon would be another command of OSC 9 (progress bars).
  const safe = safeLine(text).replaceAll(';', ',').slice(0, longest);
  return forMultiplexer(`\x1b]9;${safe}\x07`, environment);
}
