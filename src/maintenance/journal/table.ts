import type { Queryable } from '../../db/queryable.js';
import {
  hasConsoleTable,
  openConsoleTable,
  type ConsoleTable,
} from '../../deploy/console-table.js';

/**
 * One row a run of a maintenance action. `lease_until` is renewed while its console lives: a row in
 * state running whose lease has run out is of a console that crashed, and may be run again from its
 * `input`. Nothing here is secret: inputs are names and limits, and errors never hold a password.
 */
const table: ConsoleTable = {
  name: 'maintenance_runs',
  ddl: `
    CREATE TABLE trace_console.maintenance_runs (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      target_schema name NOT NULL,
      action text NOT NULL,
      title text NOT NULL,
      subject text,
      input jsonb NOT NULL,
      exclusive_name text,
      state text NOT NULL DEFAULT 'running'
        CHECK (state IN ('running', 'done', 'cancelled', 'failed', 'crashed')),
      started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      ended_at timestamptz,
      heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      lease_until timestamptz NOT NULL,
      role name NOT NULL DEFAULT current_user,
      client_user text,
      client_host text,
      client_pid integer,
      client_address inet DEFAULT inet_client_addr(),
      application text NOT NULL,
      console_version text NOT NULL,
      backend_pid integer NOT NULL DEFAULT pg_backend_pid(),
      progress jsonb,
      result jsonb,
      summary text,
      error jsonb,
      resumes bigint REFERENCES trace_console.maintenance_runs (id) ON DELETE SET NULL
    );
    CREATE INDEX maintenance_runs_running ON trace_console.maintenance_runs (target_schema)
      WHERE state = 'running';
    COMMENT ON TABLE trace_console.maintenance_runs IS
      'Every run of a maintenance action: who, from where, what, when, how far, with which result; written by trace-console'`,
};

/** Creates the journal where it is missing; false for a role that may not write it. */
export function openJournal(transaction: Queryable): Promise<boolean> {
  return openConsoleTable(transaction, table);
}

/** Whether the journal exists and may be read. */
export function hasJournal(transaction: Queryable): Promise<boolean> {
  return hasConsoleTable(transaction, table.name);
}
