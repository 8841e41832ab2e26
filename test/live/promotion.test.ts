import { expect, it } from 'vitest';
import { LiveEngine } from '../../src/live/engine.js';
import { openDatabase } from '../../src/embedded/index.js';
import { startPrivateServer } from '../helpers/private-server.js';

it('shows a standby that is promoted under an open console as a primary', async () => {
  const primary = await startPrivateServer();
  await primary.createDatabase('traces');
  const standby = await primary.basebackupStandby();
  const database = await openDatabase({ url: standby.url('traces') });
  const engine = new LiveEngine(database, { cadenceMs: 200, share: 1 });
  engine.start();
  await expect.poll(() => engine.getState().vitals?.standby, { timeout: 30_000 }).toBe(true);
  expect(engine.getState().capabilities.standby).toBe(true);
  await standby.promote();
  await expect.poll(() => engine.getState().capabilities.standby, { timeout: 30_000 }).toBe(false);
  expect(engine.getState().connection.state).toBe('connected');
  await engine.stop();
  await database.close();
});
