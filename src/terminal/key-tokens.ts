import { readNumber } from '../core/values.js';
import { graphemes } from './width.js';
import { safeBlock } from './sanitise.js';

/** What the terminal sends, in order: single keys by their names, and whole pastes. */
export type Token = { type: 'key'; name: string } | { type: 'paste'; text: string };

const pasteStart = '\x1b[200~';
const pasteEnd = '\x1b[201~';
/** Code units of a paste that are kept; the rest is read and forgotten. */
const maxPaste = 65_536;
/** So much text at once was not typed: a terminal without paste brackets. */
const maxTypedAtOnce = 64;
/** An unfinished reply longer than this is no reply. */
const maxReply = 4096;

/* eslint-disable no-control-regex */
const printable = /[^\x00-\x1f\x7f-\x9f]+/y;
const mouseX10 = /\x1b\[M[^]{3}/y;
const csi = /\x1b{1,2}\[\[?[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e$^]/y;
const partialCsi = /\x1b{1,2}\[(?:M[^]{0,2}|\[?[\x30-\x3f]*[\x20-\x2f]*)$/y;
const ss3 = /\x1b{1,2}O[\x40-\x7e]/y;
const partialSs3 = /\x1b{1,2}O?$/y;
const stringSequence = /\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)/y;
const partialString = /\x1b[\]PX^_][^\x07\x1b]*\x1b?$/y;
const altCharacter = /\x1b(?:[\b\r\x7f]|[^\x00-\x1f\x7f-\x9f])/uy;
/** A key's or a report's sequence without its Escape. */
const restOfSequence = /^(?:\[[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]|O[A-DFHMP-S])/;
/** Ctrl-C by itself, in each way that terminals send it. */
const interrupt = /^(?:\x03|\x1b\[(?:99;5u|27;5;99~))$/;
/* eslint-enable no-control-regex */

/**
 * Parts terminal input into keys. Keeps an unfinished sequence until more arrives or `flush` says
 * that nothing will. Mouse reports, focus reports, replies to queries and unknown sequences are left
 * out; a paste comes as one token without control characters.
 */
export class KeyTokens {
  #pending = '';
  #paste: string | undefined;

  /** What the input ends inside of: a lone Escape, or a sequence that is longer already. */
  get unfinished(): 'escape' | 'sequence' | undefined {
    if (this.#paste !== undefined || this.#pending === '') return undefined;
    return /^\x1b+$/.test(this.#pending) ? 'escape' : 'sequence'; // eslint-disable-line no-control-regex
  }

  *push(input: string): Generator<Token, void, undefined> {
    if (this.#paste !== undefined && interrupt.test(input)) {
      // The end of the paste was lost on the way: without a way out every key would be part of it.
      yield pasteOf(bounded(this.#paste + this.#pending));
      this.#paste = undefined;
      this.#pending = '';
    }
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

  /**
   * Input that comes soon after a lone Escape was taken for the key: what looks like the rest of a
   * sequence is one, late.
   */
  isLateRest(input: string): boolean {
    return this.#paste === undefined && this.#pending === '' && restOfSequence.test(input);
  }

  /** What an unfinished sequence means when nothing follows it: Escape, an Alt key, or nothing. */
  *flush(): Generator<Token, void, undefined> {
    if (this.unfinished === undefined) return;
    const pending = this.#pending;
    this.#pending = '';
    if (pending === '\x1b\x1b') yield* [key('escape'), key('escape')];
    else if (pending === '\x1b') yield key('escape');
    else if (pending.length === 2) yield key(`alt+${pending.slice(1)}`);
  }

  *#keys(text: string, mayContinue: boolean): Generator<Token, void, undefined> {
    let index = 0;
    while (index < text.length) {
      if (text.charAt(index) !== '\x1b') {
        const run = matchAt(printable, text, index);
        if (run === undefined) yield* named(controlKeyName(text.charAt(index)));
        else yield* typedKeys(run);
        index += run?.length ?? 1;
        continue;
      }
      const found = scanEscape(text, index);
      if (found === undefined && mayContinue && text.length - index <= maxReply) {
        this.#pending = text.slice(index);
        return;
      }
      const { length, name } = found ?? { length: 1, name: 'escape' };
      yield* named(name);
      index += length;
    }
  }
}

/**
 * The sequence that begins with the Escape at an index of the input; undefined when the input ends
 * before the sequence does. An Escape that begins none is a key by itself.
 */
function scanEscape(
  input: string,
  index: number,
): { length: number; name: string | undefined } | undefined {
  for (const partial of [partialSs3, partialCsi, partialString]) {
    if (matchAt(partial, input, index) !== undefined) return undefined;
  }
  const report = matchAt(mouseX10, input, index) ?? matchAt(stringSequence, input, index);
  if (report !== undefined) return { length: report.length, name: undefined };
  const sequence =
    matchAt(csi, input, index) ?? matchAt(ss3, input, index) ?? matchAt(altCharacter, input, index);
  return { length: sequence?.length ?? 1, name: sequenceKeyName(sequence ?? '\x1b') };
}

function matchAt(pattern: RegExp, text: string, index: number): string | undefined {
  pattern.lastIndex = index;
  return pattern.exec(text)?.[0];
}

function key(name: string): Token {
  return { type: 'key', name };
}

function named(name: string | undefined): Token[] {
  return name === undefined ? [] : [key(name)];
}

function pasteOf(text: string): Token {
  return { type: 'paste', text: safeBlock(text, { limit: maxPaste }) };
}

function bounded(text: string): string {
  return text.length > maxPaste + 1 ? text.slice(0, maxPaste + 1) : text;
}

function* typedKeys(run: string): Generator<Token, void, undefined> {
  if (run.length > maxTypedAtOnce) yield pasteOf(run);
  else for (const character of graphemes(run)) yield key(character === ' ' ? 'space' : character);
}

/**
 * Names of keys, as the key map writes them: `j`, `G`, `?`, `space`, `up`, `pageDown`, `enter`,
 * `escape`, `backspace`, `tab`, `shift+tab`, `ctrl+r`, `alt+x`. Shift and its like are dropped from
 * keys that have a name of their own, but for Shift-Tab.
 */

/** By the final byte of "CSI … X" and "SS3 X". */
const byLetter: ReadonlyMap<string, string> = new Map([
  ...(['A', 'a'] as const).map((letter) => [letter, 'up'] as const),
  ...(['B', 'b'] as const).map((letter) => [letter, 'down'] as const),
  ...(['C', 'c'] as const).map((letter) => [letter, 'right'] as const),
  ...(['D', 'd'] as const).map((letter) => [letter, 'left'] as const),
  ['H', 'home'],
  ['F', 'end'],
  ['Z', 'shift+tab'],
]);

/** By the number of "CSI n ~". */
const byNumber: ReadonlyMap<number, string> = new Map([
  [1, 'home'],
  [3, 'backspace'],
  [4, 'end'],
  [5, 'pageUp'],
  [6, 'pageDown'],
  [7, 'home'],
  [8, 'end'],
]);

/** By the code of "CSI n u": the keys that have no character, and those of the keypad. */
const byCode: ReadonlyMap<number, string> = new Map([
  [8, 'backspace'],
  [9, 'tab'],
  [13, 'enter'],
  [27, 'escape'],
  [32, 'space'],
  [127, 'backspace'],
  ...Array.from('0123456789./*-+', (sign, index) => [57_399 + index, sign] as const),
  [57_414, 'enter'],
  [57_415, '='],
  [57_417, 'left'],
  [57_418, 'right'],
  [57_419, 'up'],
  [57_420, 'down'],
  [57_421, 'pageUp'],
  [57_422, 'pageDown'],
  [57_423, 'home'],
  [57_424, 'end'],
  [57_426, 'backspace'],
]);

const shift = 1;
const alt = 2;
const control = 4;
/** Super, Hyper, Meta: keys of the desktop. */
const desktop = 8 | 16 | 32;
const capsLock = 64;

/** The key of a control character (C0 or Delete) by itself; undefined where it is none. */
function controlKeyName(character: string): string | undefined {
  const unit = character.charCodeAt(0);
  const named = unit === 0x0a ? 'enter' : unit === 0 ? 'ctrl+space' : byCode.get(unit);
  if (named !== undefined) return named;
  return unit < 0x1b ? `ctrl+${String.fromCharCode(unit + 0x60)}` : undefined;
}

/** The key that an escape sequence stands for; undefined for reports, replies and unknown keys. */
function sequenceKeyName(sequence: string): string | undefined {
  // eslint-disable-next-line no-control-regex
  const [, introducer, text = '', final = ''] = /^\x1b{1,2}(\[|O)(.*)(.)$/s.exec(sequence) ?? [];
  if (introducer === undefined) return altKeyName(sequence.slice(1));
  if (introducer === 'O') return final === 'M' ? 'enter' : arrowName(final, text);
  if (text === '[') return undefined;
  const fields = text.replace(/^\[/, '');
  // Of a mouse report, a reply, or a terminal's own.
  if (!/^[\d;:]*$/.test(fields)) return undefined;
  const parameters = fields
    .split(';')
    .map((field) => field.split(':').map((part) => readNumber(part || '0')));
  if (parameters[1]?.[1] === released) return undefined;
  switch (final) {
    case 'u':
      return codedKeyName(parameters[0], parameters[1]?.[0], parameters[2]);
    case '~':
      // xterm's modifyOtherKeys: CSI 27 ; modifiers ; code ~
      if (parameters[0]?.[0] === 27) return codedKeyName(parameters[2], parameters[1]?.[0]);
      return byNumber.get(parameters[0]?.[0] ?? 0);
    // rxvt's Shift and Ctrl.
    case '$':
    case '^':
      return byNumber.get(parameters[0]?.[0] ?? 0);
    default:
      return arrowName(final, fields);
  }
}

/** The event type of a key that was let go. */
const released = 3;

/** An arrow and its like: without parameters, or "1 ; modifiers". */
function arrowName(final: string, parameters: string): string | undefined {
  return /^(?:1?|1;[\d:]+)$/.test(parameters) ? byLetter.get(final) : undefined;
}

/** What Alt sends before a character in most terminals is an Escape. */
function altKeyName(character: string): string | undefined {
  if (character === '') return 'escape';
  const named = controlKeyName(character);
  if (named !== undefined) return named;
  return character === ' ' ? 'space' : `alt+${character}`;
}

/**
 * A key sent as the code of its character ("CSI u", kitty's protocol and xterm's), with its shifted
 * character and the text it writes where the terminal says so.
 */
function codedKeyName(
  [code = 0, shifted = 0]: readonly number[] = [],
  modifiers = 1,
  text: readonly number[] = [],
): string | undefined {
  const pressed = Math.max(0, modifiers - 1);
  if ((pressed & desktop) !== 0) return undefined;
  const isShifted = (pressed & shift) !== 0;
  const named = byCode.get(code);
  if (named === 'tab' && isShifted) return 'shift+tab';
  if (named !== undefined) {
    return named === 'space' && (pressed & control) !== 0 ? 'ctrl+space' : named;
  }
  const character = characterOf(code);
  if (character === undefined) return undefined;
  if ((pressed & control) !== 0) {
    if ((pressed & alt) !== 0) return undefined;
    return character === '[' ? 'escape' : `ctrl+${character.toLowerCase()}`;
  }
  const isUpper = isShifted !== ((pressed & capsLock) !== 0);
  const [other] = [...text, ...(isShifted ? [shifted] : [])].map(characterOf);
  const written = other ?? (isUpper ? character.toUpperCase() : character);
  return (pressed & alt) === 0 ? written : `alt+${written}`;
}

/** Nothing of C0, C1, the surrogates and the keys that kitty numbers in the private use area. */
function characterOf(code: number): string | undefined {
  const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0);
  const isNone = (code >= 0xd800 && code < 0xf900) || code > 0x10ffff || !Number.isInteger(code);
  return isControl || isNone ? undefined : String.fromCodePoint(code);
}
