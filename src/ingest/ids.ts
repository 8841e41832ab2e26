import { isUuid, late } from '../core/values.js';
import { createHash } from 'node:crypto';

/**
 * Ids that every source derives alike (UUID version 5, RFC 9562): a turn from session and prompt id, a tool
 * call from session and tool use id, and so on. So the same happening is the same row, whoever tells of it.
 */

/** Namespace of what trace-console derives. */
const namespace = Buffer.from('7e1f0a4c5b3d5c3e9a6d2f8b4c7d1e90', 'hex');

/** Made when the first id is asked for: a start does without node:crypto. */
const begun = late(() => createHash('sha1').update(namespace));

/** Cached, because every event of a turn asks for its id. */
const recent = new Map<string, string>();
const mostRecent = 5_000;

/** UUID version 5 of some words: each stands for itself, whatever is in it. */
export function derivedId(...words: readonly string[]): string {
  let name = '';
  for (const word of words) name += `${Buffer.byteLength(word)}:${word}`;
  const known = recent.get(name);
  if (known !== undefined) return known;
  const hex = begun().copy().update(name).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
  const id = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
  if (recent.size >= mostRecent) recent.clear();
  if (name.length <= 256) recent.set(name, id);
  return id;
}

/** A session by one name, however its UUID is written. */
export function sessionName(session: string): string {
  return isUuid(session) ? session.toLowerCase() : session;
}

/** The session's own id where it is a UUID, else one derived from it. */
export function sessionId(session: string): string {
  return isUuid(session) ? session.toLowerCase() : derivedId('session', session);
}

export const turnId = (session: string, turn: string) => derivedId('turn', session, turn);
export const subagentId = (session: string, subagent: string) =>
  derivedId('subagent', session, subagent);
export const toolCallId = (session: string, toolUse: string) => derivedId('tool', session, toolUse);
export const modelCallId = (session: string, message: string) =>
  derivedId('message', session, message);
export const decisionId = (session: string, key: string) => derivedId('decision', session, key);
/** The id of something without an id of its own, such as a hook's run or a note. */
export const happeningId = (session: string, ...key: readonly string[]) =>
  derivedId('happening', session, ...key);
