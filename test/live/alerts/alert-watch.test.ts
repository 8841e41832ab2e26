import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { ConsoleError } from '../../../src/db/errors.js';
import { AlertWatch, checkRule } from '../../../src/live/alerts/alert-watch.js';
import { LiveEngine } from '../../../src/live/engine.js';
import { emptySnapshot } from '../../../src/live/pane-feed.js';
import type { LiveState, PaneSnapshot } from '../../../src/live/state.js';
import type { SlowHookRow } from '../../../src/panes/slow-hooks.js';
import { slowHooks } from '../../../src/panes/slow-hooks.js';
import { usage } from '../../../src/panes/usage.js';
import { createTestDatabase } from '../../helpers/database.js';
import { openDatabase } from '../../panes/open.js';

const rule = { name: 'slow', pane: 'slow-hooks', when: 'p95>5s calls>20' } as const;

function hook(name: string, p95Ms: number, calls = 30): SlowHookRow {
  return {
    ...{ hook: name, tool: null, calls, failures: 0, inProgress: 0, p50Ms: 10, p95Ms },
    ...{
      maxMs: p95Ms,
      totalMs: 10,
      share: 1,
      callsBefore: null,
      failuresBefore: null,
      p95BeforeMs: null,
    },
  };
}

function stateWith(change: Partial<PaneSnapshot>): LiveState {
  const base = emptySnapshot(slowHooks);
  const snapshot = { ...base, asOf: new Date(), ...change };
  return { panes: { 'slow-hooks': snapshot } } as unknown as LiveState;
}

describe('an alert', () => {
  it('fires when a row matches, once, names it, and clears when none does any more', () => {
    const watch = new AlertWatch([rule]);
    expect(watch.panes).toEqual([]);
    expect(watch.watches).toMatchObject([{ pane: 'slow-hooks', windowMs: 3_600_000 }]);
    expect(watch.see(stateWith({ rows: [hook('gate', 4_000)] }), 1)).toEqual([]);
    const [fired] = watch.see(stateWith({ rows: [hook('gate', 6_000), hook('b', 9_000)] }), 2);
    expect(fired).toMatchObject({ rule: 'slow', pane: 'slow-hooks', since: 2 });
    expect(fired?.what).toMatch(/^gate .*p95 6\.00s.* and 1 more$/);
    expect(watch.see(stateWith({ rows: [hook('gate', 7_000)] }), 3)).toEqual([]);
    expect(watch.state.active).toMatchObject([
      { since: 2, what: expect.stringContaining('7.00s') as string },
    ]);
    expect(watch.see(stateWith({ rows: [] }), 4)).toEqual([]);
    expect(watch.state.active).toEqual([]);
    expect(watch.state.history.map(({ kind, at }) => [kind, at])).toEqual([
      ['cleared', 4],
      ['fired', 2],
    ]);
  });

  it('neither begins nor ends by a reading that failed or is not whole', () => {
    const watch = new AlertWatch([rule]);
    const slow = { rows: [hook('gate', 6_000)] };
    expect(watch.see(stateWith({ ...slow, loading: { share: 0.5 } }), 1)).toEqual([]);
    expect(watch.see(stateWith(slow), 2)).toHaveLength(1);
    const error = new ConsoleError('lock_timeout', 'locked');
    expect(watch.see(stateWith({ rows: [], error, stale: true }), 3)).toEqual([]);
    expect(watch.state.active).toHaveLength(1);
  });

  it('takes no notice of what is shown of the past', () => {
    const watch = new AlertWatch([rule]);
    const past = { rows: [hook('gate', 6_000)], untilMs: 1 };
    expect(watch.see(stateWith(past), 1)).toEqual([]);
    expect(watch.see(stateWith({ rows: past.rows }), 2)).toHaveLength(1);
    expect(watch.see(stateWith({ rows: [], untilMs: 1 }), 3)).toEqual([]);
    expect(watch.state.active).toHaveLength(1);
  });

  it('is refused where its filter cannot be read', () => {
    expect(checkRule(rule)).toBeUndefined();
    expect(checkRule({ ...rule, when: 'p96>5s' })).toContain('no column p96');
    expect(checkRule({ ...rule, when: ' ' })).toBe('needs a filter');
  });
});

describe('an alert beside a screen', () => {
  it('does not depend on the window, the moment, the variant or the grouping that somebody looks at', async () => {
    const database = await createTestDatabase();
    // $6 in the last hour, of which none in the last five minutes; a tool that takes long.
    await database.query(
      `WITH trace AS (
         INSERT INTO execution_traces (correlation_id, root_id, session_id, source, status, model, cost_usd, started_at)
         SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', 'completed', 'large', 0.5, now() - i * interval '4 minutes' - interval '6 minutes'
         FROM generate_series(1, 12) AS i RETURNING id)
       INSERT INTO hook_executions (trace_id, hook_type, hook_name, status, duration_ms, started_at)
       SELECT id, 'ToolUse', 'tool', 'completed', 9000, now() - interval '30 minutes' FROM trace`,
    );
    const watch = new AlertWatch([
      { name: 'spending', pane: 'usage', when: 'allPerHour>5' },
      { name: 'model', pane: 'usage', when: 'group:large cost>5' },
      { name: 'quarter', pane: 'recent-traces', when: 'traces>0', windowMs: 900_000 },
      { name: 'slow', pane: 'slow-hooks', when: 'p95>5s' },
      { name: 'steep', pane: 'usage', when: 'allPerHour>7' },
    ]);
    const engine = new LiveEngine(await openDatabase(database.url), {
      watches: watch.watches,
      panes: [usage, slowHooks],
      cadenceMs: 500,
      share: 1,
    });
    onTestFinished(() => engine.stop());
    const settled = async (windowMs: number, untilMs: number | undefined) => {
      const before = engine.getState().watched;
      engine.setWindow(windowMs);
      engine.setUntil(untilMs);
      engine.setVariant('slow-hooks', 'hooks');
      engine.setGrouping('usage', 'project');
      await vi.waitFor(
        () => {
          const { watched, panes } = engine.getState();
          for (const { key } of watch.watches) {
            expect(watched?.get(key)).not.toBe(before?.get(key));
            expect(watched?.get(key)).toMatchObject({ error: null, loading: null });
          }
          expect(panes.usage.untilMs).toBe(untilMs);
          watch.see(engine.getState(), 1);
        },
        { timeout: 20_000 },
      );
      return watch.state.active.map(({ rule }) => rule).toSorted();
    };
    engine.start();
    const all = ['model', 'quarter', 'slow', 'spending'];
    expect(await settled(3_600_000, undefined)).toEqual(all);
    expect(await settled(300_000, undefined)).toEqual(all);
    expect(await settled(30 * 86_400_000, undefined)).toEqual(all);
    expect(await settled(3_600_000, Date.now() - 86_400_000)).toEqual(all);
    expect(watch.state.history.map(({ kind }) => kind)).toEqual(all.map(() => 'fired'));
  });
});
