import { fc } from '../../helpers/seeds.js';
import { expect, test } from 'vitest';
import { SliceLedger, type Range } from '../../../src/panes/reading/slices.js';

/** What a server would know: rows with their start, present from some moment on. */
type Row = { startedMs: number; presentFromMs: number };
type Counted = { count: number };

const minute = 60_000;

function ledger(totals?: { sum: number }) {
  return new SliceLedger<Counted>(minute, {
    empty: () => ({ count: 0 }),
    inProgress: () => 0,
    rows: ({ count }) => count,
    added: ({ count }) => {
      if (totals) totals.sum += count;
    },
    removed: ({ count }) => {
      if (totals) totals.sum -= count;
    },
  });
}

function ask(rows: readonly Row[], ranges: readonly Range[], nowMs: number): Map<number, Counted> {
  const answer = new Map<number, Counted>();
  for (const { startedMs, presentFromMs } of rows) {
    if (presentFromMs > nowMs) continue;
    const times = ranges.filter(
      ({ fromMs, untilMs }) => startedMs >= fromMs && startedMs < untilMs,
    );
    expect(times.length).toBeLessThanOrEqual(1);
    if (times.length === 0) continue;
    const slice = Math.floor(startedMs / minute);
    answer.set(slice, { count: (answer.get(slice)?.count ?? 0) + 1 });
  }
  return answer;
}

function readAll(
  kept: SliceLedger<Counted>,
  rows: readonly Row[],
  windowMs: number,
  nowMs: number,
) {
  const plan = kept.plan({ sinceMs: nowMs - windowMs, nowMs }, Infinity);
  const fresh = kept.settle(plan, ask(rows, plan.ranges, nowMs), nowMs);
  let count = 0;
  kept.look((_slice, value) => (count += value.count));
  for (const value of fresh.values()) count += value.count;
  return { count, fresh, plan };
}

const start = 1_000_000 * minute;

test('rows that come within ten seconds are all counted, at every reading, whatever the window', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ at: fc.nat(30 * minute), late: fc.nat(9_900) }), { maxLength: 200 }),
      fc.array(fc.integer({ min: 100, max: 90_000 }), { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 20_000, max: 20 * minute }),
      (given, pauses, windowMs) => {
        const rows = given.map(({ at, late }) => ({
          startedMs: start + at,
          presentFromMs: start + at + late,
        }));
        const totals = { sum: 0 };
        const kept = ledger(totals);
        let nowMs = start + 10 * minute;
        for (const pause of pauses) {
          nowMs += pause;
          const { count, fresh } = readAll(kept, rows, windowMs, nowMs);
          const expected = rows.filter(
            (row) => row.presentFromMs <= nowMs && row.startedMs > nowMs - windowMs,
          ).length;
          expect(count).toBe(expected);
          const freshSum = [...fresh.values()].reduce((sum, value) => sum + value.count, 0);
          expect(totals.sum + freshSum).toBe(expected);
        }
      },
    ),
  );
});

test('a row that comes late is counted before it has been there for as long as it was late', () => {
  fc.assert(
    fc.property(fc.integer({ min: 10_000, max: 28 * minute }), fc.nat(minute - 1), (late, at) => {
      const startedMs = start + at;
      const presentFromMs = start + minute + late;
      const rows = [{ startedMs, presentFromMs }];
      const kept = ledger();
      const everyMs = 2_000;
      let seenAt: number | undefined;
      for (let nowMs = startedMs; nowMs < start + 59 * minute; nowMs += everyMs) {
        if (readAll(kept, rows, 60 * minute, nowMs).count > 0) {
          seenAt = nowMs;
          break;
        }
      }
      expect(seenAt).toBeDefined();
      // Two readings more: the slice is due between them, and a few others may be due before it.
      expect((seenAt ?? Infinity) - presentFromMs).toBeLessThanOrEqual(late + 2 * everyMs);
    }),
    { numRuns: 60 },
  );
});

test('rows that are brought in for a whole hour at once are counted within half a minute, and few that are late cost little', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 20 * minute }),
      fc.integer({ min: 1, max: 4 }),
      (at, perMinute) => {
        const presentFromMs = start + at;
        const rows = Array.from({ length: 59 * perMinute }, (_, index) => ({
          startedMs: presentFromMs - 59 * minute + (index * minute) / perMinute,
          presentFromMs,
        }));
        const kept = ledger();
        for (let nowMs = start; nowMs < presentFromMs + 30_000; nowMs += 2_000) {
          readAll(kept, rows, 60 * minute, nowMs);
        }
        const nowMs = presentFromMs + 32_000;
        const inWindow = rows.filter(({ startedMs }) => startedMs > nowMs - 60 * minute);
        const { count, plan } = readAll(kept, rows, 60 * minute, nowMs);
        expect(count).toBe(inWindow.length);
        expect(plan.audited.size).toBeLessThanOrEqual(64);
      },
    ),
    { numRuns: 40 },
  );
  const kept = ledger();
  let audited = 0;
  for (let nowMs = start; nowMs < start + 20 * minute; nowMs += 2_000) {
    // Every minute one row comes ten minutes late.
    const rows = Array.from({ length: 20 }, (_, index) => ({
      startedMs: start + (index - 10) * minute,
      presentFromMs: start + index * minute,
    }));
    audited += readAll(kept, rows, 60 * minute, nowMs).plan.audited.size;
  }
  expect(audited / 600).toBeLessThan(0.35);
});

test('a steady reading asks for the open part, the far edge and few kept slices', () => {
  const kept = ledger();
  let asked = 0;
  let readings = 0;
  for (let nowMs = start; nowMs < start + 30 * minute; nowMs += 2_000) {
    const { plan } = readAll(kept, [], 60 * minute, nowMs);
    if (nowMs === start) continue;
    readings += 1;
    asked += plan.keeping.size;
    expect(plan.keeping.size).toBeLessThanOrEqual(10);
  }
  // Nine times each of the minutes, of which 30 readings make one, and one more with every fifth reading.
  expect(asked / readings).toBeLessThan(0.35 + 0.2);
});

test('a window that is opened in pieces begins with the newest and ends whole', () => {
  const kept = ledger();
  const nowMs = start;
  const first = kept.plan({ sinceMs: nowMs - 60 * minute, nowMs }, 10);
  // Of 60 minutes the far edge and the open one are not kept.
  expect(first.missing).toBe(58 - 10);
  expect(Math.min(...first.keeping)).toBeGreaterThan(Math.floor(start / minute) - 12);
  kept.settle(first, new Map(), nowMs);
  const second = kept.plan({ sinceMs: nowMs - 60 * minute, nowMs }, 100);
  expect(second.missing).toBe(0);
});

test('when the clock is set back, what was kept of the future is asked again', () => {
  const kept = ledger();
  readAll(kept, [], 10 * minute, start);
  const rows = [{ startedMs: start - 2 * minute - 1, presentFromMs: 0 }];
  expect(readAll(kept, rows, 10 * minute, start - 2 * minute).count).toBe(1);
});

test('of a window that has ended it counts its own rows, and asks again only for both its edges', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(40 * minute), { maxLength: 100 }),
      fc.nat(40 * minute),
      fc.integer({ min: 1_000, max: 20 * minute }),
      (given, until, windowMs) => {
        const rows = given.map((at) => ({ startedMs: start + at, presentFromMs: 0 }));
        const untilMs = start + until;
        const kept = ledger();
        const expected = rows.filter(
          ({ startedMs }) => startedMs > untilMs - windowMs && startedMs < untilMs,
        ).length;
        for (const [reading, nowMs] of [
          start + 60 * minute,
          start + 60 * minute + 30_000,
          start + 61 * minute,
        ].entries()) {
          const plan = kept.plan({ sinceMs: untilMs - windowMs, nowMs, untilMs }, Infinity);
          const fresh = kept.settle(plan, ask(rows, plan.ranges, nowMs), nowMs);
          let count = 0;
          kept.look((_slice, value) => (count += value.count));
          for (const value of fresh.values()) count += value.count;
          expect(count).toBe(expected);
          if (reading === 0) continue;
          expect(plan.keeping.size).toBe(0);
          const asked = plan.ranges.reduce((sum, range) => sum + range.untilMs - range.fromMs, 0);
          expect(asked).toBeLessThanOrEqual(2 * minute);
        }
      },
    ),
  );
});

test('slices that are told to have changed are asked again at once, and until there is an answer', () => {
  const kept = ledger();
  readAll(kept, [], 60 * minute, start);
  const rows = [{ startedMs: start - 20 * minute, presentFromMs: 0 }];
  const [fromMs, untilMs] = [start - 25 * minute, start - 15 * minute];
  kept.noteChanged([{ fromMs, untilMs }]);
  const nowMs = start + 100;
  const failed = kept.plan({ sinceMs: nowMs - 60 * minute, nowMs }, Infinity);
  expect(failed.keeping.size).toBe(10);
  expect(kept.hasChanged).toBe(true);
  expect(readAll(kept, rows, 60 * minute, nowMs).count).toBe(1);
  expect(kept.hasChanged).toBe(false);
});

test('while rows are written, slices of few rows are all asked again, those of many are not', () => {
  for (const [perMinute, least, most] of [
    [10, 55, 60],
    [2_000, 0, 2],
  ] as const) {
    const rows = Array.from({ length: 60 * perMinute }, (_, index) => ({
      startedMs: start - Math.floor((index * minute) / perMinute),
      presentFromMs: 0,
    }));
    const kept = ledger();
    readAll(kept, rows, 60 * minute, start);
    const nowMs = start + 100;
    const plan = kept.plan({ sinceMs: nowMs - 60 * minute, nowMs, isWritten: true }, Infinity);
    expect(plan.keeping.size).toBeGreaterThanOrEqual(least);
    expect(plan.keeping.size).toBeLessThanOrEqual(most);
  }
});

test('what was not looked at while rows were written is looked at behind it, once', () => {
  const rows = Array.from({ length: 6_000 }, (_, index) => ({
    startedMs: start - index * 600,
    presentFromMs: 0,
  }));
  const kept = ledger();
  readAll(kept, rows, 60 * minute, start);
  const looked = new Set<number>();
  const lastly: number[] = [];
  for (let reading = 0; reading < 20; reading += 1) {
    const nowMs = start + 100 + reading * 100;
    const isWritten = reading === 0;
    const plan = kept.plan({ sinceMs: nowMs - 60 * minute, nowMs, isWritten }, Infinity);
    kept.settle(plan, ask(rows, plan.ranges, nowMs), nowMs);
    for (const slice of plan.audited) looked.add(slice);
    if (reading >= 10) lastly.push(plan.audited.size);
  }
  expect(looked.size).toBeGreaterThanOrEqual(58);
  expect(Math.max(...lastly)).toBe(0);
});
