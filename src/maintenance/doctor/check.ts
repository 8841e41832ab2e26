import type { Capabilities } from '../../db/capabilities.js';
import { quoteIdent, shellWord } from '../../db/quote.js';
import type { Queryable } from '../../db/queryable.js';
import {
  commandFlags,
  connectionString,
  type CommandTarget,
} from '../../db/connection/command-flags.js';

/** The pane of the doctor leads from it to the traces. */
export const stuckTracesId = 'stuck-traces';

/** The worst first, as they are listed. */
export const severities = ['critical', 'warning', 'advice', 'good', 'skipped'] as const;

/**
 * - `critical`: data, or the database's working, is in danger;
 * - `warning`: something is wrong and should be fixed soon;
 * - `advice`: it works, and could work better;
 * - `good`: looked at, nothing found;
 * - `skipped`: could not be looked at; the evidence says why.
 */
export type Severity = (typeof severities)[number];

export type Finding = {
  severity: 'critical' | 'warning' | 'advice';
  /** One sentence with the names and figures that were found. */
  evidence: string;
  /** Everything that was found, one each; the evidence may name only the first. */
  items?: readonly string[];
  /** What to do about it. */
  fix: string;
  /** Which command of the console does it, as `:reindex`, and where: the screen shows its key. */
  inConsole?: string;
  /** SQL statements, or one command of the shell with its words quoted, that do it. */
  command?: string | readonly string[];
};

export type Verdict = Finding | { severity: 'good' | 'skipped'; evidence: string };

export type CheckContext = {
  /** A read-only transaction of the check's own, under short time-outs. */
  tx: Queryable;
  capabilities: Capabilities;
  /** Of the connection: a name, an address, or the folder of a socket. */
  host: string;
};

/**
 * One question about the health of a database. It reads catalogues, statistics and at most a few rows
 * by an index: never a growing table.
 */
export type Check = {
  id: string;
  title: string;
  /** Why it matters, for the pane and the documents. */
  why: string;
  /** It reads sizes and counters of our tables or indexes, which this server has of its own rows only. */
  ofOwnRows?: true;
  /** Why it cannot be looked at here; undefined when it can. */
  skip?: (capabilities: Capabilities) => string | undefined;
  /** @throws ConsoleError */
  run: (context: CheckContext) => Promise<Verdict>;
};

export function good(evidence: string): Verdict {
  return { severity: 'good', evidence };
}

export function skipped(evidence: string): Verdict {
  return { severity: 'skipped', evidence };
}

/** For the rest of a check's transaction the planner takes an index even where the table seems small. */
export async function readByIndexOnly(tx: Queryable): Promise<void> {
  await tx.query(`SELECT set_config('enable_seqscan', 'off', true)`);
}

/** `a, b, c and 4 more` */
export function firstOf(items: readonly string[], most = 3): string {
  const rest = items.length - most;
  return rest > 0 ? `${items.slice(0, most).join(', ')} and ${rest} more` : items.join(', ');
}

/** Skips a check on the embedded database, where nothing of the kind can happen. */
export function exceptEmbedded(reason: string): NonNullable<Check['skip']> {
  return ({ embedded }) => (embedded ? `embedded database: ${reason}` : undefined);
}

/** Skips a check that needs to see other roles' sessions. */
export function needsAllStats(reason: string): NonNullable<Check['skip']> {
  return ({ embedded, readsAllStats, user }) => {
    if (embedded) return `embedded database: ${reason}`;
    if (readsAllStats) return undefined;
    return `the role does not see other roles' sessions: GRANT pg_read_all_stats TO ${quoteIdent(user)}`;
  };
}

/**
 * The commands of a finding as one line for a shell, safe to paste, on the connection they were found on: SQL by
 * psql, a `-c` a statement, since ALTER SYSTEM and CONCURRENTLY cannot share one; a command of the console with
 * {@link commandFlags}.
 */
export function printedCommand(commands: readonly string[], target: CommandTarget): string {
  const [first = ''] = commands;
  if (first.startsWith('trace-console ')) return `${first} ${commandFlags(target)}`.trimEnd();
  if (first.startsWith('apt ')) return first;
  const statements = commands.map((statement) => `-c ${shellWord(statement)}`).join(' ');
  return `psql ${shellWord(connectionString(target))} -v ON_ERROR_STOP=1 ${statements}`;
}
