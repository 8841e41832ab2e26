import { createFolder } from '../../core/create-folder.js';
import fs from 'node:fs';
import path from 'node:path';
import { readBytes, readTextFile, whyUnreadable } from '../../core/folders.js';
import { parse, printParseErrorCode, type ParseError } from 'jsonc-parser';
import { byOwnKey } from '../../core/values.js';
import { ConsoleError } from '../../db/errors.js';

/** A settings file as it is on disk. */
export type SettingsFile = {
  /** The file itself, where the path is a symbolic link. */
  real: string;
  /** Undefined: there is none yet. */
  text: string | undefined;
};

/**
 * Reads a settings file for a change.
 *
 * @throws ConsoleError `file_failed`
 */
export function readSettingsFile(file: string): SettingsFile {
  let real = file;
  try {
    real = fs.realpathSync(file);
    const bytes = readBytes(real);
    const text = bytes.toString('utf8');
    if (!Buffer.from(text).equals(bytes)) throw new Error('it is no UTF-8 text');
    return { real, text };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw failed(`${file} cannot be read${whyUnreadable(cause)}`, 'Nothing was changed.', cause);
    }
    if (fs.lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink()) {
      throw failed(
        `${file} is a symbolic link to a file that is missing`,
        'Nothing was changed. Create the file it points to, or remove the link.',
        cause,
      );
    }
    return { real, text: undefined };
  }
}

/**
 * Puts a new text in the place of a file, all or nothing: written beside it, then renamed. Mode and owner stay.
 *
 * @param text undefined: the file is removed
 * @throws ConsoleError `busy` when somebody has changed it since it was read; `file_not_written`
 */
export function replaceSettingsFile({ real, text: before }: SettingsFile, text?: string): void {
  const stat = fs.statSync(real, { throwIfNoEntry: false });
  if (stat && (stat.mode & 0o222) === 0) {
    throw new ConsoleError('file_not_written', `${real} is read-only.`, {
      hint: `Nothing was changed. If you may: chmod u+w ${real}`,
    });
  }
  const draft = path.join(path.dirname(real), `.${path.basename(real)}.${process.pid}.new`);
  try {
    if (text !== undefined) writeDraft(draft, real, text, stat);
    if (readSettingsFile(real).text !== before) {
      throw new ConsoleError('busy', `${real} was changed by somebody else meanwhile.`, {
        hint: 'Nothing was changed. Run it again.',
      });
    }
    if (text === undefined) fs.rmSync(real);
    else fs.renameSync(draft, real);
  } catch (cause) {
    fs.rmSync(draft, { force: true });
    if (cause instanceof ConsoleError) throw cause;
    throw new ConsoleError('file_not_written', `${real} could not be written.`, {
      hint: `Nothing was changed: ${cause instanceof Error ? cause.message : String(cause)}.`,
      cause,
    });
  }
}

function writeDraft(draft: string, real: string, text: string, stat: fs.Stats | undefined): void {
  createFolder(path.dirname(real), 0o777);
  const descriptor = fs.openSync(draft, 'wx', stat?.mode ?? 0o644);
  try {
    fs.writeFileSync(descriptor, text);
    if (stat) {
      fs.fchmodSync(descriptor, stat.mode);
      if (process.getuid?.() === 0) fs.fchownSync(descriptor, stat.uid, stat.gid);
    }
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

/**
 * The value of a text in JSON, with or without comments and trailing commas.
 *
 * @throws ConsoleError `file_failed` that names the line
 */
export function parseSettings(text: string, file: string): unknown {
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first) {
    const line = text.slice(0, first.offset).split('\n').length;
    const what = printParseErrorCode(first.error)
      .replace(/([a-z])([A-Z])/g, '$1 $2')
      .toLowerCase();
    throw failed(
      `${file} is broken in line ${line}: ${what}`,
      'Nothing was changed. Fix the file, then run it again.',
    );
  }
  return value;
}

function failed(message: string, hint: string, cause?: unknown): ConsoleError {
  return new ConsoleError('file_failed', `${message}.`, {
    hint,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The text of a file; undefined where it is missing or cannot be read. */
export function textOf(file: string): string | undefined {
  try {
    return readTextFile(file);
  } catch {
    return undefined;
  }
}

/** A value of a file that may be missing or broken: then undefined. */
function valueAt(file: string, keys: readonly string[]): unknown {
  try {
    let value: unknown = parseSettings((textOf(file) ?? '').replace(/^\uFEFF/, ''), file);
    for (const key of keys) {
      if (typeof value !== 'object' || value === null) return undefined;
      value = byOwnKey(value as Record<string, unknown>, key);
    }
    return value;
  } catch {
    return undefined;
  }
}

export const truthyAt = (file: string, keys: readonly string[]): boolean =>
  valueAt(file, keys) === true;

export const falseAt = (file: string, keys: readonly string[]): boolean =>
  valueAt(file, keys) === false;

export function hasListAt(file: string, keys: readonly string[]): boolean {
  return Array.isArray(valueAt(file, keys));
}

export function listAt(file: string, keys: readonly string[]): unknown[] {
  const value = valueAt(file, keys);
  return Array.isArray(value) ? value : [];
}

/** Beyond so many pairs of lines the middle is shown as replaced whole. */
const mostPairs = 4_000_000;
const contextLines = 2;

type Line = { mark: ' ' | '-' | '+'; text: string };

/**
 * What changes from one text to another, a line each: `-` goes, `+` comes, with two lines around; `⋯` where equal lines
 * are left out. Empty for equal texts.
 */
export function lineDiff(before: string, after: string): string[] {
  const lines = compare(linesOf(before), linesOf(after));
  const shown: string[] = [];
  let skipped = false;
  for (const [index, { mark, text }] of lines.entries()) {
    const around = lines.slice(Math.max(0, index - contextLines), index + contextLines + 1);
    if (around.every((line) => line.mark === ' ')) {
      skipped = true;
      continue;
    }
    if (skipped) shown.push('  ⋯');
    skipped = false;
    shown.push(`${mark} ${text}`);
  }
  return shown.length > 0 && skipped ? [...shown, '  ⋯'] : shown;
}

const linesOf = (text: string): string[] =>
  text === '' ? [] : text.replace(/\r?\n$/, '').split(/\r?\n/);

function compare(before: readonly string[], after: readonly string[]): Line[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start])
    start += 1;
  let end = 0;
  while (
    end < before.length - start &&
    end < after.length - start &&
    before[before.length - 1 - end] === after[after.length - 1 - end]
  ) {
    end += 1;
  }
  const same = (text: string): Line => ({ mark: ' ', text });
  return [
    ...before.slice(0, start).map(same),
    ...middle(before.slice(start, before.length - end), after.slice(start, after.length - end)),
    ...before.slice(before.length - end).map(same),
  ];
}

/** By the longest common subsequence. */
function middle(before: readonly string[], after: readonly string[]): Line[] {
  const width = after.length + 1;
  const isSmall = before.length * after.length <= mostPairs;
  const lengths = new Uint32Array(isSmall ? (before.length + 1) * width : 0);
  const lengthAt = (i: number, j: number) => lengths[i * width + j] ?? 0;
  for (let i = isSmall ? before.length - 1 : -1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] =
        before[i] === after[j]
          ? lengthAt(i + 1, j + 1) + 1
          : Math.max(lengthAt(i + 1, j), lengthAt(i, j + 1));
    }
  }
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    const gone = before[i];
    const come = after[j];
    if (isSmall && gone !== undefined && gone === come) {
      lines.push({ mark: ' ', text: gone });
      i += 1;
      j += 1;
    } else if (
      come === undefined ||
      (gone !== undefined && lengthAt(i + 1, j) >= lengthAt(i, j + 1))
    ) {
      lines.push({ mark: '-', text: gone ?? '' });
      i += 1;
    } else {
      lines.push({ mark: '+', text: come });
      j += 1;
    }
  }
  return lines;
}
