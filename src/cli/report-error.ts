import { ConsoleError, exitCodes, type ExitCode } from '../db/errors.js';
import { safeJson, safeText } from './safe-text.js';

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
    process.stderr.write(`error: ${safeText(message)}\n`);
    if (known?.hint) process.stderr.write(`hint: ${safeText(known.hint)}\n`);
    // What nobody foresaw comes with its stack, for the report of it.
    if (!known && error instanceof Error && error.stack)
      process.stderr.write(`${safeText(error.stack)}\n`);
  }
  return known?.exitCode ?? exitCodes.notGood;
}
