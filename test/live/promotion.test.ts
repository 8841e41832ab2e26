import pg from 'pg';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { LiveEngine } from '../../src/live/engine.js';
import type { LiveState } from '../../src/live/state.js';
import type { PaneId } from '../../src/panes/registry.js';
import { startPrivateServer, type PrivateServer } from '../helpers/private-server.js';
import { applySchemaFiles } from '../helpers/template.js';
import { openDatabase } from '../panes/open.js';

let primary: PrivateServer;
beforeAll(async () => {
  primary = await startPrivateServer();
  await primary.createDatabase('traces');
});

/** A console on a database, whose clock can be put forward: half a minute need not be waited for. */
async function openConsole(url: string, visible: readonly PaneId[]) {
  let aheadMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  const database = await openDatabase(url);
  const engine = new LiveEngine(database, { cadenceMs: 200, share: 1, clock });
  onTestFinished(() => engine.stop());
  engine.setVisible(visible);
  engine.start();
  return {
    database,
    until: async (holds: (state: LiveState) => unknown) => {
      await expect.poll(() => Boolean(holds(engine.getState())), { timeout: 30_000 }).toBe(true);
      expect(engine.getState().connection).toEqual({ state: 'connected' });
      return engine.getState();
    },
    halfAMinuteLater: () => {
      aheadMs += 30_000;
    },
  };
}

async function asSuperuser(url: string): Promise<(sql: string) => Promise<unknown>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  onTestFinished(() => client.end());
  return (sql) => client.query(sql);
}

function asRole(url: string, role: string): string {
  const named = new URL(url);
  named.username = role;
  named.password = 'r';
  return named.href;
}

it('shows a standby that is promoted under an open console as a primary', async () => {
  const standby = await primary.basebackupStandby();
  const { until } = await openConsole(standby.url('traces'), ['recent-traces']);
  const before = await until(({ vitals }) => vitals?.standby === true);
  expect(before.capabilities.standby).toBe(true);
  await standby.promote();
  await until(({ capabilities }) => !capabilities.standby);
});

it('fills a pane, and says that another has lost its right, as others GRANT and REVOKE', async () => {
  const url = primary.url('traces');
  const admin = await asSuperuser(url);
  await admin(
    `CREATE ROLE reader LOGIN PASSWORD 'r'; GRANT USAGE ON SCHEMA public TO reader;
     GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; REVOKE ALL ON hook_executions FROM reader;
     INSERT INTO execution_traces (correlation_id, root_id, session_id, source)
     SELECT c, c, c, 'test' FROM (SELECT gen_random_uuid() AS c) AS id`,
  );
  const console = await openConsole(asRole(url, 'reader'), [
    'recent-traces',
    'slow-hooks',
    'activity',
  ]);
  const denied = await console.until(
    ({ panes }) => panes['slow-hooks'].error && panes['recent-traces'].asOf && panes.activity.asOf,
  );
  expect(denied.panes['slow-hooks'].error?.message).toBe('The role may not read hook_executions.');
  expect(denied.panes.activity.notes.join()).toContain('hook_executions cannot be followed');

  await admin('GRANT SELECT ON hook_executions TO reader');
  console.halfAMinuteLater();
  await console.until(({ panes }) => panes['slow-hooks'].asOf && !panes['slow-hooks'].error);
  await console.until(({ panes }) => !panes.activity.notes.join().includes('cannot be followed'));

  await admin('REVOKE SELECT ON execution_traces FROM reader');
  const lost = await console.until(({ panes }) => panes['recent-traces'].error);
  expect(lost.panes['recent-traces']).toMatchObject({
    stale: true,
    error: { code: 'privilege_missing' },
  });
  expect(lost.panes['recent-traces'].rows).toHaveLength(1);
  console.halfAMinuteLater();
  await console.until(({ capabilities }) => capabilities.tables.execution_traces?.select === false);
  await admin('GRANT SELECT ON execution_traces TO reader');
  console.halfAMinuteLater();
  await console.until(({ panes }) => !panes['recent-traces'].error);
});

it('knows extensions, columns and views that others make', async () => {
  const url = await primary.createDatabase('bare', { schema: false });
  const admin = await asSuperuser(url);
  const console = await openConsole(url, ['recent-traces', 'slow-hooks']);
  const without = await console.until(({ vitals, panes }) => vitals && panes['slow-hooks'].error);
  expect(without.capabilities.extensions.vector).toBeUndefined();
  await admin('CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions');
  console.halfAMinuteLater();
  const made = await console.until(({ capabilities }) => capabilities.extensions.vector);
  expect(made.capabilities.searchPath).toBe('"public", "extensions"');
  await admin('CREATE EXTENSION "uuid-ossp" SCHEMA extensions');
  await admin('SET search_path = public, extensions');
  await applySchemaFiles(url);
  console.halfAMinuteLater();
  await console.until(({ panes }) => panes['slow-hooks'].asOf && !panes['slow-hooks'].error);
});

it('has the columns of a table that another session brings up to date', async () => {
  const url = await primary.createDatabase('older');
  const admin = await asSuperuser(url);
  await admin('ALTER TABLE hook_executions DROP COLUMN tool_name CASCADE');
  const console = await openConsole(url, ['slow-hooks']);
  const has = ({ panes }: LiveState) => panes['slow-hooks'].notes.join().includes('has no column');
  await console.until(has);
  await admin('ALTER TABLE hook_executions ADD COLUMN tool_name text');
  console.halfAMinuteLater();
  await console.until((state) => !has(state));
});

it('refuses actions as soon as the server or the role is made read-only by default', async () => {
  const url = await primary.createDatabase('settings');
  const admin = await asSuperuser(url);
  const console = await openConsole(url, ['recent-traces']);
  await console.until(({ vitals }) => vitals);
  await admin('ALTER SYSTEM SET default_transaction_read_only = on');
  await admin('SELECT pg_reload_conf()');
  await console.until(({ capabilities }) => capabilities.readOnlyByDefault);
  expect(console.database.readOnly).toBe(true);
  await admin('SET default_transaction_read_only = off');
  await admin('ALTER SYSTEM RESET default_transaction_read_only');
  await admin('SELECT pg_reload_conf()');
  await console.until(({ capabilities }) => !capabilities.readOnlyByDefault);
  // Sessions that are open keep what the role had: only a new one shows it.
  await admin('ALTER DATABASE settings SET default_transaction_read_only = on');
  await expect(console.database.connectDirect()).rejects.toMatchObject({ code: 'read_only' });
  await console.until(({ vitals, capabilities }) => {
    return vitals?.readOnlyByDefault && capabilities.readOnlyByDefault;
  });
  const asked = await openDatabase(`${url}?options=-c%20default_transaction_read_only%3Doff`);
  expect(asked.capabilities.readOnlyByDefault).toBe(false);
  await (await asked.connectDirect()).close();
});
