import type { Database } from '../db/database.js';
import type { ConsoleError } from '../db/errors.js';
import type { PaneSnapshot } from '../live/state.js';

/** What `status --json` prints for a pane: its rows, and beside them what else it knows. */
export type PaneJson = {
  /** The server's clock, or the moment chosen in the past; null when there was no answer. */
  asOf: Date | null;
  /** Server time in milliseconds. */
  costMs: number | null;
  rows: readonly object[];
  notes: readonly string[];
  error: { code: string; message: string; hint: string | null } | null;
};

export type StatusJson = {
  database: ReturnType<typeof databaseJson>;
  /** The chosen moment in the past at which the windows end; null: now. */
  at: Date | null;
  panes: Record<string, PaneJson>;
};

export function statusJson(
  database: Database,
  snapshots: readonly PaneSnapshot[],
  at: Date | null,
): StatusJson {
  return {
    database: databaseJson(database),
    at,
    panes: Object.fromEntries(snapshots.map((snapshot) => [snapshot.id, paneJson(snapshot)])),
  };
}

function databaseJson({ capabilities, address, origin, readOnly }: Database) {
  return {
    name: capabilities.database,
    host: address.host,
    port: address.port,
    user: capabilities.user,
    schema: capabilities.schema,
    source: origin,
    serverVersion: capabilities.serverVersionText,
    pgvector: capabilities.extensions.vector?.version ?? null,
    tls: address.tls,
    embedded: capabilities.embedded,
    standby: capabilities.standby,
    readOnly,
  };
}

function paneJson({ asOf, costMs, rows, extras, notes, error }: PaneSnapshot): PaneJson {
  return {
    ...extras,
    asOf,
    costMs: costMs === null ? null : Math.round(costMs * 100) / 100,
    rows,
    notes,
    error: error && errorJson(error),
  };
}

function errorJson({ code, message, hint }: ConsoleError) {
  return { code, message, hint: hint ?? null };
}
