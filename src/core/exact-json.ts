import { setOwnKey } from './values.js';

/**
 * A number that JavaScript cannot hold to the digit: `1005254182451511297`, `1e400`. It computes as the nearest
 * number, and is written as it came.
 */
export class ExactNumber extends Number {
  readonly text: string;

  constructor(text: string) {
    super(text);
    this.text = text;
  }

  override toString(): string {
    return this.text;
  }

  /** Where nobody asks for the exact number, its digits as a text are nearer than a rounded number. */
  toJSON(): string {
    if (!isWriting) return this.text;
    written += 1;
    return `${mark()}${this.text}`;
  }
}

/** To compute with: the nearest number of an exact one; anything else as it is. */
export const roundedNumber = (value: unknown): unknown =>
  value instanceof ExactNumber ? value.valueOf() : value;

/** The number of a decimal text, exact when JavaScript's would be another one. */
export function exactNumber(text: string): number | ExactNumber {
  const number = Number(text);
  if (String(number) === text) return number;
  return isSame(number, text) ? number : new ExactNumber(text);
}

/** Every decimal number of 15 digits is one of JavaScript's. */
function isSame(number: number, text: string): boolean {
  const [mantissa = ''] = text.toLowerCase().split('e');
  const digits = mantissa.replace(/[-+.]/g, '').replace(/^0+|0+$/g, '');
  if (digits === '') return number === 0;
  if (!Number.isFinite(number) || number === 0) return false;
  return Number.isSafeInteger(number) || (digits.length <= 15 && !String(number).includes('e'));
}

/**
 * A number of 14 digits or with an exponent, wherever it stands. Texts are passed over by this one in half of the time that
 * the closer look takes, which is twice that of JSON.parse.
 */
const longNumber = /\d[\d.]{13}|\d[eE][+-]?\d+(?:[,}\]\s]|$)/;

/** True of few texts without such a number, since it stands behind one of these signs: ids and times in quotes do not. */
const exactNumberIn = /(?:^|[:,[])\s*-?(?:\d[\d.]{13}|\d[\d.]*[eE])/;

/** Cheap, and true of every text that holds a number which JavaScript cannot hold. */
export const mayHoldExactNumber = (json: string): boolean =>
  longNumber.test(json) && exactNumberIn.test(json);

let ownMark: string | undefined;

/** Begins a text that stands for a number while JSON is read or written; nobody outside can know it. Made when it is needed: hooks load this. */
const mark = (): string => (ownMark ??= `${globalThis.crypto.randomUUID()}:`);

/** JSON is written to the digit now; how many such numbers were written so far. */
let isWriting = false;
let written = 0;

/**
 * JSON.parse, but numbers that JavaScript cannot hold are {@link ExactNumber}. Nothing in it recurses: the text
 * comes from others.
 *
 * @throws SyntaxError
 */
export function parseExactJson(text: string): unknown {
  if (!mayHoldExactNumber(text)) return JSON.parse(text);
  const marked = withMarks(text);
  const root = [JSON.parse(marked ?? text) as unknown];
  if (marked === undefined) return root[0];
  const open: object[] = [root];
  for (let container = open.pop(); container !== undefined; container = open.pop()) {
    const entries = container as Record<string, unknown>;
    for (const [key, value] of Object.entries(entries)) {
      if (typeof value === 'string' && value.startsWith(mark())) {
        const exact = new ExactNumber(value.slice(mark().length));
        setOwnKey<unknown>(entries, key, exact);
      } else if (typeof value === 'object' && value !== null) {
        open.push(value);
      }
    }
  }
  return root[0];
}

/** The text with its exact numbers as marked texts; undefined when there are none. */
function withMarks(text: string): string | undefined {
  const parts: string[] = [];
  let copied = 0;
  const token = /"|-?\d[\d.eE+-]*/g;
  for (let match = token.exec(text); match; match = token.exec(text)) {
    if (match[0] === '"') {
      token.lastIndex = endOfString(text, token.lastIndex);
      continue;
    }
    if (typeof exactNumber(match[0]) === 'number') continue;
    parts.push(text.slice(copied, match.index), `"${mark()}${match[0]}"`);
    copied = token.lastIndex;
  }
  if (copied === 0) return undefined;
  return [...parts, text.slice(copied)].join('');
}

function endOfString(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x22) return at + 1;
    if (code === 0x5c) at += 1;
  }
  return text.length;
}

type Replacer = (key: string, value: unknown) => unknown;

/**
 * JSON.stringify, but exact numbers are written to the digit, and no depth ends it: what is nested deeper than a stack is
 * written in one line.
 */
export function exactJson(value: unknown, indent?: number, replacer?: Replacer): string {
  try {
    return shallowJson(value, indent, replacer);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return deepJson(value);
  }
}

/** Without a function that is asked for each value: that takes several times as long. */
function shallowJson(value: unknown, indent?: number, replacer?: Replacer): string {
  isWriting = true;
  const before = written;
  let text;
  try {
    // Of undefined there is no JSON, whatever the type says.
    text = JSON.stringify(value, replacer, indent) as unknown;
  } finally {
    isWriting = false;
  }
  if (typeof text !== 'string') return 'null';
  return written > before ? text.replace(new RegExp(`"${mark()}([^"]*)"`, 'g'), '$1') : text;
}

/** What is still to be written: a value, or a sign that is written as it is. */
type Part = { value: unknown } | string;

function deepJson(root: unknown): string {
  const written: string[] = [];
  const parts: Part[] = [{ value: root }];
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    if (typeof part === 'string') written.push(part);
    else if (isNested(part.value)) {
      for (const inner of partsOf(part.value).reverse()) parts.push(inner);
    } else written.push(shallowJson(part.value));
  }
  return written.join('');
}

/** Dates and exact numbers say themselves how they are written. */
const isNested = (value: unknown): value is object =>
  typeof value === 'object' &&
  value !== null &&
  !('toJSON' in value && typeof value.toJSON === 'function');

function partsOf(value: object): Part[] {
  const isList = Array.isArray(value);
  const parts: Part[] = [isList ? '[' : '{'];
  for (const [key, inner] of Object.entries(value) as [string, unknown][]) {
    // JSON has no such values: an object is written without them, a list with null.
    const isNothing =
      inner === undefined || typeof inner === 'function' || typeof inner === 'symbol';
    if (isNothing && !isList) continue;
    if (parts.length > 1) parts.push(',');
    if (!isList) parts.push(`${JSON.stringify(key)}:`);
    parts.push({ value: isNothing ? null : inner });
  }
  parts.push(isList ? ']' : '}');
  return parts;
}
