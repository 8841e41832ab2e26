import { expect, it } from 'vitest';
import { openDatabase } from '../../src/embedded/index.js';
import { LiveEngine } from '../../src/live/engine.js';
import { runAction } from '../../src/maintenance/registry.js';
import { collect } from '../maintenance/helpers.js';
import { startPrivateServer, type PrivateServer } from '../helpers/private-server.js';

function urlOf(servers: readonly PrivateServer[], attributes = ''): string {
  const [first] = servers;
  const hosts = servers.map(({ host, port }) => `${host}:${port}`).join(',');
  return `${first?.url('traces').replace(/@[^/]*\//, `@${hosts}/`) ?? ''}${attributes}`;
}

const reindex = { indexes: ['execution_traces_pkey'] };

it('follows a failover: panes go on, and maintenance finds the new primary', async () => {
  const primary = await startPrivateServer();
  await primary.createDatabase('traces');
  const standby = await primary.basebackupStandby();
  const database = await openDatabase({
    url: urlOf([standby, primary], '?target_session_attrs=read-write'),
  });
  expect(database.address.port).toBe(primary.port);
  const engine = new LiveEngine(database, { cadenceMs: 200, share: 1 });
  engine.start();
  await expect
    .poll(() => engine.getState().connection.state, { timeout: 50_000 })
    .toBe('connected');

  await primary.kill9();
  await expect
    .poll(() => engine.getState().connection, { timeout: 50_000 })
    .toMatchObject({
      state: 'reconnecting',
      error: { message: expect.stringContaining('standby') as string },
    });
  await standby.promote();
  const promotedAt = Date.now();
  await expect
    .poll(() => engine.getState().panes['recent-traces'].asOf?.getTime() ?? 0, { timeout: 50_000 })
    .toBeGreaterThan(promotedAt);
  expect(engine.getState().connection.state).toBe('connected');
  expect(database.address.port).toBe(standby.port);

  const { signal } = new AbortController();
  const { outcome } = await collect(runAction('reindex', { database, signal }, reindex));
  expect(outcome.result.rebuilt).toHaveLength(1);
  await engine.stop();
  await database.close();
});

it('reads from a standby, and changes on the primary, when both are named', async () => {
  const primary = await startPrivateServer();
  await primary.createDatabase('traces');
  const standby = await primary.basebackupStandby();
  const database = await openDatabase({
    url: urlOf([primary, standby], '?target_session_attrs=prefer-standby'),
  });
  expect(database.capabilities.standby).toBe(true);
  const { signal } = new AbortController();
  const { outcome } = await collect(runAction('reindex', { database, signal }, reindex));
  expect(outcome.result.rebuilt).toHaveLength(1);
  await primary.stop();
  await expect(collect(runAction('reindex', { database, signal }, reindex))).rejects.toMatchObject({
    message: expect.stringContaining('is a standby') as string,
  });
  await database.close();
});
