import { expect, onTestFinished, test } from 'vitest';
import { LiveEngine } from '../../src/live/engine.js';
import type { EngineOptions } from '../../src/live/state.js';
import { models } from '../../src/panes/models.js';
import type { AnyPane } from '../../src/panes/registry.js';
import { createTestDatabase } from '../helpers/database.js';
import { openDatabase } from '../panes/open.js';

/** A pane whose window is never read in one go. */
async function startInPieces(pieces: number, options: EngineOptions = {}) {
  const database = await createTestDatabase();
  const seen = { reads: 0, resets: 0, whole: 0 };
  let done = 0;
  let onPiece: () => void = () => undefined;
  const pane: AnyPane = {
    ...models,
    createReader: () => ({
      read() {
        seen.reads += 1;
        done += 1;
        const loading = done < pieces ? { share: done / pieces } : null;
        if (loading) onPiece();
        else seen.whole += 1;
        const result = { rows: [], extras: {}, asOf: new Date(), notes: [] };
        return Promise.resolve(loading ? { ...result, loading } : result);
      },
      reset() {
        seen.resets += 1;
        done = 0;
      },
    }),
  };
  const engine = new LiveEngine(await openDatabase(database.url), {
    ...{ panes: [pane], cadenceMs: 60_000, share: 1 },
    ...options,
  });
  onTestFinished(() => engine.stop());
  engine.start();
  return { engine, seen, onEachPiece: (act: () => void) => (onPiece = act) };
}

test('a window that is read in pieces comes to its end, however often all is asked anew meanwhile', async () => {
  const { engine, seen, onEachPiece } = await startInPieces(5);
  onEachPiece(() => engine.refreshNow());
  await expect.poll(() => seen.whole).toBeGreaterThan(0);
  expect(seen.resets).toBe(0);
  onEachPiece(() => undefined);
  await expect.poll(() => engine.getState().panes.models.loading).toBeNull();
  engine.refreshNow();
  await expect.poll(() => seen.resets).toBe(1);
});

test('panes that wait for their first rows are not asked before these are there', async () => {
  let written: () => void = () => undefined;
  const asksAfter = new Promise<void>((resolve) => (written = resolve));
  const { engine, seen } = await startInPieces(1, { asksAfter });
  await expect.poll(() => engine.getState().connection.state).toBe('connected');
  engine.refreshNow();
  expect(seen.reads).toBe(0);
  written();
  await expect.poll(() => seen.whole).toBe(1);
});
