import { nearestWord } from '../../core/nearest.js';
import { ConsoleError } from '../../db/errors.js';
import { sessionId } from '../../ingest/ids.js';
import type { DetailAccess } from '../contract/opening.js';
import { readTerms, type FilterField } from '../contract/filter.js';
import { hasColumn, type SchemaShape } from '../contract/shape.js';

/** The fields whose values are few enough to complete them: in filters and commands. */
export type NameKind = 'agent' | 'project' | 'user' | 'hook' | 'tool' | 'service' | 'session';

export const nameKinds: readonly NameKind[] = [
  ...(['agent', 'project', 'user', 'hook', 'tool', 'service', 'session'] as const),
];

export function isNameKind(field: string | undefined): field is NameKind {
  return nameKinds.some((kind) => kind === field);
}

const places: Readonly<Record<NameKind, readonly [table: string, column: string, at: string]>> = {
  agent: ['agent_routing_decisions', 'agent_selected', 'created_at'],
  project: ['execution_traces', 'project', 'started_at'],
  user: ['execution_traces', 'user_id', 'started_at'],
  hook: ['hook_executions', 'hook_name', 'started_at'],
  tool: ['hook_executions', 'tool_name', 'started_at'],
  service: ['endpoint_calls', 'service_name', 'started_at'],
  session: ['execution_traces', 'session_id', 'started_at'],
};

/** So many names of a kind at most. */
const mostNames = 1_000;
/** Names without an index of their own are those of the newest rows. */
const rowsLookedAt = 20_000;

/** Whether all names of a kind are read; else those of the newest rows are. */
export function knowsAll(kind: NameKind): boolean {
  return kind !== 'hook' && kind !== 'session';
}

/**
 * The names of a kind; undefined where the database does not have them. Where an index begins with the name, it is read
 * from name to name, one row each: 2 ms for 100 names, however many rows have them. Else the newest rows are looked at.
 */
function namesStatement(shape: SchemaShape, kind: NameKind): string | undefined {
  const [table, column, at] = places[kind];
  if (!shape.relations.get(table)?.select || !hasColumn(shape, table, column)) return undefined;
  if (!knowsAll(kind)) {
    if (!hasColumn(shape, table, at)) return undefined;
    return `
SELECT left(name, 512) AS name FROM (
  SELECT ${column}::text AS name, ${at} AS at FROM ${table} ORDER BY ${at} DESC LIMIT ${rowsLookedAt}) AS newest
WHERE name IS NOT NULL GROUP BY name ORDER BY max(at) DESC LIMIT ${mostNames}`;
  }
  return `
WITH RECURSIVE known AS (
  (SELECT ${column} AS name FROM ${table} WHERE ${column} IS NOT NULL ORDER BY ${column} LIMIT 1)
  UNION ALL
  SELECT (SELECT ${column} FROM ${table} WHERE ${column} > known.name ORDER BY ${column} LIMIT 1)
  FROM known WHERE known.name IS NOT NULL)
SELECT left(name, 512) AS name FROM known WHERE name IS NOT NULL LIMIT ${mostNames}`;
}

type Read = (text: string) => Promise<readonly { name: string }[]>;

/** The names of a kind; empty where the database does not have them. @throws ConsoleError */
export async function readNames(
  read: Read,
  shape: SchemaShape,
  kind: NameKind,
): Promise<readonly string[]> {
  const text = namesStatement(shape, kind);
  return text === undefined ? [] : (await read(text)).map(({ name }) => name);
}

/** Names that a term of a filter means: all of a name (`=`), or a text in it, whatever the case. */
export function namesMeant(names: readonly string[], operator: string, text: string): string[] {
  const wanted = text.toLowerCase();
  return names.filter((name) =>
    operator === '=' ? name.toLowerCase() === wanted : name.toLowerCase().includes(wanted),
  );
}

/** That there is no such name, and which one may have been meant. */
export function unknownName(kind: NameKind, text: string, names: readonly string[]): string {
  const nearest = nearestWord(text, names);
  const meant = nearest === undefined ? '' : `; did you mean ${nearest}?`;
  const where = knowsAll(kind) ? '' : ' among the newest';
  return `there is no ${kind} "${text}"${where}${meant}`;
}

/** What is said of the names in a list's filter that do not exist, where nothing matches it. @throws ConsoleError */
export async function unknownNames(
  { read, shape }: Pick<DetailAccess, 'read' | 'shape'>,
  { filter, fields }: { filter: string; fields: readonly FilterField[] },
): Promise<string[]> {
  const said = readTerms(filter, fields);
  if ('error' in said) return [];
  const unknown: string[] = [];
  for (const { field, operator, text, isNot } of said.terms) {
    if (isNot || !isNameKind(field?.id)) continue;
    if (field.id === 'session') {
      if (!isIdStart(text)) continue;
      unknown.push(...(await unknownSession({ read, shape }, text)));
      continue;
    }
    const names = await readNames((statement) => read(statement, []), shape, field.id);
    if (namesMeant(names, operator, text).length > 0) continue;
    unknown.push(unknownName(field.id, text, names));
  }
  return unknown;
}

/** The digits by which a session is found: its id, the beginning of one, or the id of the name that its program gave it. */
export function sessionDigits(text: string): string {
  return digitsOf(isIdStart(text) ? text : sessionId(text));
}

/** What is said of a session that does not exist; nothing of one that does. @throws ConsoleError */
export async function unknownSession(
  access: Pick<DetailAccess, 'read' | 'shape'>,
  text: string,
): Promise<string[]> {
  const digits = sessionDigits(text);
  const near = await nearestId(access, 'session', digits);
  if (near !== undefined && digitsOf(near).startsWith(digits)) return [];
  const meant = isIdStart(text) ? near : await nearestName(access, text);
  return [`there is no session "${text}"${meant === undefined ? '' : `; did you mean ${meant}?`}`];
}

/** The name of a session, among those that were seen last, that is most like a text. */
async function nearestName(
  { read }: Pick<DetailAccess, 'read'>,
  text: string,
): Promise<string | undefined> {
  try {
    const rows = await read<{ name: string }>(
      `SELECT left(session, 200) AS name FROM trace_console.agent_sessions
       WHERE target_schema = current_schema() ORDER BY last_seen_at DESC LIMIT ${idsLookedAt}`,
      [],
    );
    return nearestWord(
      text,
      rows.map(({ name }) => name),
    );
  } catch (error) {
    // It is only a hint, and the table may not be there.
    if (error instanceof ConsoleError) return undefined;
    throw error;
  }
}

export function digitsOf(id: string): string {
  return id.toLowerCase().replaceAll('-', '');
}

/** Whether a text may be an id, or the beginning of one. */
export function isIdStart(text: string): boolean {
  return /^[0-9a-f]{4,32}$/.test(digitsOf(text));
}

const idColumns = { trace: 'correlation_id', session: 'session_id' } as const;

/** So many of the newest traces are looked at for an id that was mistyped at its beginning. */
const idsLookedAt = 1_000;

/**
 * The id that was most likely meant by one that begins like none: among those of the newest traces, and the two beside
 * it in the index, which begin like it further than any other.
 */
export async function nearestId(
  { read, shape }: Pick<DetailAccess, 'read' | 'shape'>,
  kind: keyof typeof idColumns,
  text: string,
): Promise<string | undefined> {
  const column = idColumns[kind];
  const has = (name: string) => hasColumn(shape, 'execution_traces', name);
  if (!isIdStart(text) || !has(column) || !has('started_at')) return undefined;
  const digits = digitsOf(text);
  const beside = (sign: '<' | '>=', order: string) =>
    `(SELECT ${column}::text AS id FROM execution_traces WHERE ${column} ${sign} $1::uuid ORDER BY ${column} ${order} LIMIT 1)`;
  let rows: readonly { id: string | null }[];
  try {
    rows = await read<{ id: string | null }>(
      `${beside('<', 'DESC')} UNION ALL ${beside('>=', 'ASC')}
UNION ALL (SELECT ${column}::text FROM execution_traces ORDER BY started_at DESC LIMIT ${idsLookedAt})`,
      [digits.padEnd(32, '0')],
    );
  } catch (error) {
    // It is only a hint: what was asked has its answer.
    if (error instanceof ConsoleError) return undefined;
    throw error;
  }
  const ids = rows.flatMap(({ id }) => id ?? []);
  const byBeginning = new Map(ids.map((id) => [digitsOf(id).slice(0, digits.length), id]));
  const nearest = nearestWord(digits, byBeginning.keys());
  if (nearest !== undefined) return byBeginning.get(nearest);
  const sameDigits = Math.max(4, Math.ceil(digits.length / 2));
  return ids.find((id) => digitsOf(id).startsWith(digits.slice(0, sameDigits)));
}

/** The beginning of a hint; nothing where no id is near. */
export async function nearestIdHint(
  access: Pick<DetailAccess, 'read' | 'shape'>,
  kind: keyof typeof idColumns,
  text: string,
): Promise<string> {
  const near = await nearestId(access, kind, text);
  return near === undefined ? '' : `Did you mean ${near}? `;
}
