import { ConsoleError, exitCodes, type ExitCode } from '../db/errors.js';
import { plainText, safeJson, safeText } from './safe-text.js';

/**
 * Prints an error with its hint to stderr, as JSON to stdout when the command prints JSON, and
 * gives the exit code.
 */
export function reportError(error: unknown, json: boolean): ExitCode {
  const known = error instanceof ConsoleError ? error : undefined;
  const message = error instanceof Error ? error.message : String(error);
  if (json) {
    const body = { code: known?.code ?? 'internal', message, hint: known?.hint };
    process.stdout.write(`${safeJson({ ok: false, error: body })}\n`);
  } else {
    const write = (text: string) =>
      process.stderr.write(`${plainText(safeText(text), process.stderr)}\n`);
    write(`error: ${message}`);
    if (known?.hint) write(`hint: ${known.hint}`);
    // What nobody foresaw comes with its stack, for the report of it.
    if (!known && error instanceof Error && error.stack) write(error.stack);
  }
  return known?.exitCode ?? exitCodes.notGood;
}
