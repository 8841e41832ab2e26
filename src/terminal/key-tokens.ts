import { scanEscape } from './escape-sequences.js';
import { graphemes } from './graphemes.js';
import { safeBlock } from './sanitise.js';

/** What the terminal sends, in order: single keys in their escape sequences, and whole pastes. */
export type Token = { type: 'key'; sequence: string } | { type: 'paste'; text: string };

const pasteStart = '\x1b[200~';
const pasteEnd = '\x1b[201~';
/** Code units of a paste that are kept; the rest is read and forgotten. */
const maxPaste = 65_536;
/** So much text at once was not typed: a terminal without paste brackets. */
const maxTypedAtOnce = 64;
/** An unfinished reply longer than this is no reply. */
const maxReply = 4096;

// eslint-disable-next-line no-control-regex
const printable = /[^\x00-\x1f\x7f-\x9f]+/y;

/**
 * Parts terminal input into keys. Keeps an unfinished sequence until more arrives or `flush` says
 * that nothing will. Mouse reports, focus reports, replies to queries and unknown sequences are left
 * out; a paste comes as one token without control characters.
 */
export class KeyTokens {
  #pending = '';
  #paste: string | undefined;

  /** Whether the input ends inside a sequence: a lone Escape, or the start of something longer. */
  get isUnfinished(): boolean {
    return this.#paste === undefined && this.#pending !== '';
  }

  *push(input: string): Generator<Token, void, undefined> {
    let text = this.#pending + input;
    this.#pending = '';
    while (text !== '') {
      if (this.#paste === undefined) {
        const start = text.indexOf(pasteStart);
        yield* this.#keys(start < 0 ? text : text.slice(0, start), start < 0);
        if (start < 0) return;
        this.#paste = '';
        text = text.slice(start + pasteStart.length);
      }
      const end = text.indexOf(pasteEnd);
      if (end < 0) {
        // The closing bracket may be split over two reads.
        const kept = Math.max(0, text.length - pasteEnd.length + 1);
        this.#pending = text.slice(kept);
        this.#paste = bounded(this.#paste + text.slice(0, kept));
        return;
      }
      yield pasteOf(bounded(this.#paste + text.slice(0, end)));
      this.#paste = undefined;
      text = text.slice(end + pasteEnd.length);
    }
  }

  /** What an unfinished sequence means when nothing follows it: Escape, an Alt key, or nothing. */
  *flush(): Generator<Token, void, undefined> {
    if (!this.isUnfinished) return;
    const pending = this.#pending;
    this.#pending = '';
    if (pending === '\x1b\x1b') yield* [key('\x1b'), key('\x1b')];
    else if (pending.length <= 2) yield key(pending);
  }

  *#keys(text: string, mayContinue: boolean): Generator<Token, void, undefined> {
    let index = 0;
    while (index < text.length) {
      if (text.charAt(index) !== '\x1b') {
        printable.lastIndex = index;
        const run = printable.exec(text)?.[0];
        if (run === undefined) yield* controlKey(text.charAt(index));
        else yield* typedKeys(run);
        index += run?.length ?? 1;
        continue;
      }
      const sequence = scanEscape(text, index);
      if (sequence === undefined && mayContinue && text.length - index <= maxReply) {
        this.#pending = text.slice(index);
        return;
      }
      const { length, isKey } = sequence ?? { length: 1, isKey: true };
      if (isKey) yield key(text.slice(index, index + length));
      index += length;
    }
  }
}

function key(sequence: string): Token {
  return { type: 'key', sequence };
}

function pasteOf(text: string): Token {
  return { type: 'paste', text: safeBlock(text, { limit: maxPaste }) };
}

function bounded(text: string): string {
  return text.length > maxPaste + 1 ? text.slice(0, maxPaste + 1) : text;
}

function* typedKeys(run: string): Generator<Token, void, undefined> {
  if (run.length > maxTypedAtOnce) yield pasteOf(run);
  else for (const character of graphemes(run)) yield key(character);
}

/** Ink hands Ctrl-\, Ctrl-], Ctrl-^ and Ctrl-_ and the C1 controls on as text; they are no keys here. */
function* controlKey(character: string): Generator<Token, void, undefined> {
  const unit = character.charCodeAt(0);
  if (unit < 0x1c || unit === 0x7f) yield key(character);
}
