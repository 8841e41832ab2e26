import fs from 'node:fs';
import { ExactNumber, parseExactJson, roundedNumber } from '../../core/exact-json.js';
import { isObject, objectOf } from '../../core/values.js';
import type { AgentEvent } from '../events.js';

/** What a reader of transcripts must remember to go on in the middle of a file; JSON. */
export type ReaderState = Record<string, unknown>;

/** A file of an agent's program, and what its path and its neighbours tell of it. */
export type TranscriptFile = {
  path: string;
  /** What the file's name says of the session; lines may say it better. */
  session?: string | undefined;
  /** The subagent that the whole file is of. */
  subagent?: string | undefined;
  /** Beside the file: of which kind the subagent is, and which tool use started it. */
  sidecar?: Record<string, unknown> | undefined;
  /** The file is one JSON object, which is written anew as it grows: it is read as one line. */
  isWhole?: boolean | undefined;
};

/** Reads one transcript, a line at a time. */
export interface TranscriptReader {
  /**
   * @param line one line without its end
   * @returns the events that it tells; `undefined`: the line is unknown, and counted as skipped
   */
  read(line: Buffer): readonly AgentEvent[] | undefined;
  /** What to keep so that another reader goes on behind the last line. */
  readonly state: ReaderState;
}

/** One kind of transcript: how its lines are read. Adding one is a file, and a line in the registry of sources. */
export type TranscriptSource = {
  /** As it is named on the command line: claude, codex, gemini. */
  id: string;
  title: string;
  /** The folders of this machine that hold its files, by its own environment variables. */
  folders(environment: Readonly<Record<string, string | undefined>>, home: string): string[];
  /** What a path inside such a folder is; undefined: no transcript. */
  describe(path: string): TranscriptFile | undefined;
  /** Further files and folders of the session that a file is of: its subagents'. */
  companions?(path: string, session: string | undefined): string[];
  open(file: TranscriptFile, state: ReaderState | undefined): TranscriptReader;
};

/** A line that is one JSON object; undefined: it is something else. */
export function parsedLine(bytes: Buffer): Record<string, unknown> | undefined {
  let value: unknown;
  try {
    value = parseExactJson(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
  return isObject(value) ? value : undefined;
}

/** A pipe under the name of a transcript would be waited for, and with it everything else. */
export const isFile = (path: string): boolean =>
  fs.statSync(path, { throwIfNoEntry: false })?.isFile() === true;

export function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function numberOf(told: unknown): number | undefined {
  const value = roundedNumber(told);
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

export function countOf(value: unknown): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.round(numberOf(value) ?? 0)));
}

/** Milliseconds since 1970 of an ISO time or of a number (seconds or milliseconds), within the years that a database holds. */
export function timeOf(told: unknown): number | undefined {
  const value = roundedNumber(told);
  const at =
    typeof value === 'number'
      ? value > 1e11
        ? value
        : value * 1_000
      : typeof value === 'string'
        ? Date.parse(value)
        : Number.NaN;
  return at > 0 && at < latest ? at : undefined;
}

/** The end of the year 9999. */
const latest = Date.UTC(10_000, 0);

/** The texts of a message's blocks. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.flatMap((block) => stringOf(objectOf(block).text) ?? []).join('\n');
}

/** A provider's short name of an error (`overloaded_error`), where the message holds its answer. */
export const typeOfApiError = (message: string | undefined): string =>
  /\b[a-z]+(?:_[a-z]+)*_error\b/.exec(message?.replace(/"type"\s*:\s*"error"/g, '') ?? '')?.[0] ??
  'api_error';

export function firstLine(text: string): string {
  const end = text.indexOf('\n');
  return end === -1 ? text : text.slice(0, end);
}

/** Ids are bytes in protobuf and hexadecimal in JSON; zeros are none. */
export function hexOf(value: unknown, bytes: number): string | undefined {
  const hex =
    value instanceof Uint8Array
      ? Buffer.from(value).toString('hex')
      : stringOf(value)?.toLowerCase();
  const isId = hex?.length === bytes * 2 && /^[\da-f]+$/.test(hex) && !/^0+$/.test(hex);
  return isId ? hex : undefined;
}

/** An integer of 64 bits: a number, a text, or two halves. One beyond 2^53 is rounded. */
function integerOf(value: unknown): number | undefined {
  // eslint-disable-next-line ours/number-of-text -- nanoseconds since 1970 are rounded to microseconds anyway
  if (typeof value === 'string' && /^-?\d{1,20}$/.test(value)) return Number(value);
  if (typeof roundedNumber(value) === 'number') return numberOf(value);
  const { high, low } = objectOf(value);
  return typeof high === 'number' && typeof low === 'number'
    ? high * 2 ** 32 + (low >>> 0)
    : undefined;
}

/** An integer as it is kept: as a text where JavaScript's number would be another one. */
export function exactInteger(value: unknown): number | string | undefined {
  const number = integerOf(value);
  if (number === undefined || Number.isSafeInteger(number)) return number;
  if (typeof value === 'string') return value;
  if (value instanceof ExactNumber) return value.text;
  const { high, low } = objectOf(value);
  const areNumbers = typeof high === 'number' && typeof low === 'number';
  return areNumbers && Number.isInteger(high) && Number.isInteger(low)
    ? String((BigInt(high) << 32n) + BigInt(low >>> 0))
    : number;
}

/** The largest time that a date can hold (milliseconds); a broken clock may send more. */
const latestDate = 8.64e15;

/** Milliseconds since 1970, to the microsecond, of nanoseconds; undefined: none that a date can hold. */
export function millisecondsOf(nanoseconds: unknown): number | undefined {
  const value = integerOf(nanoseconds);
  if (value === undefined || value <= 0 || value / 1e6 > latestDate) return undefined;
  return Math.round(value / 1e3) / 1e3;
}
