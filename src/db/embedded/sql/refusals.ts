import type { Statement } from './scanner.js';

/** Why the embedded database does not run a statement; its SQLSTATE is 0A000. */
export type Refusal = { message: string; hint: string };

const advisoryLock = /^pg_(?:try_)?advisory_lock(?:_shared)?$/;
const advisoryLockInBody = /\bpg_(?:try_)?advisory_lock(?:_shared)?\s*\(/i;

/**
 * Statements that would not do what they say, because all clients share the engine's one session:
 * two clients would both get the same session lock, one client's DISCARD would empty the other's.
 */
export function refusalOf(statement: Statement, sole: boolean): Refusal | undefined {
  const { tokens } = statement;
  const verb = tokens[0]?.kind === 'word' ? tokens[0].text : undefined;
  const takesLock = tokens.some(
    (token) =>
      ((token.kind === 'word' || token.kind === 'identifier') && advisoryLock.test(token.text)) ||
      (verb === 'do' && token.kind === 'string' && advisoryLockInBody.test(token.text)),
  );
  if (takesLock) {
    return {
      message: 'session-level advisory locks are not available on the embedded database',
      hint: 'All clients share one engine session. Use pg_advisory_xact_lock or pg_try_advisory_xact_lock.',
    };
  }
  const holds = tokens.findIndex((token) => token.kind === 'word' && token.text === 'hold');
  if (verb === 'declare' && holds > 0 && tokens[holds - 1]?.text === 'with') {
    return {
      message: 'cursors WITH HOLD are not available on the embedded database',
      hint: 'All clients share one engine session. Read the cursor within its transaction.',
    };
  }
  const second = tokens[1]?.kind === 'word' ? tokens[1].text : undefined;
  const shared = verb === 'discard' && (second === 'temp' || second === 'temporary');
  const inList = !sole && (verb === 'discard' || verb === 'deallocate') && second === 'all';
  if (shared || inList) {
    const text = `${verb} ${second}`.toUpperCase();
    return {
      message: `${text} is not available here on the embedded database`,
      hint: 'All clients share one engine session. Send DISCARD ALL or DEALLOCATE ALL as a statement of its own.',
    };
  }
  return undefined;
}
