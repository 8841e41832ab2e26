import { expect, test } from 'vitest';
import { Schedule, type RunResult, type Task } from '../../src/live/schedule.js';
import { FakeClock } from './fake-clock.js';

function scheduleOf(
  clock: FakeClock,
  tasks: Task[],
  options: { cadenceMs?: number; concurrency?: number } = {},
) {
  const { cadenceMs = 1_000, concurrency = 10 } = options;
  const schedule = new Schedule({ clock, cadenceMs, concurrency });
  for (const task of tasks) schedule.add(task, true);
  return schedule;
}

/** A task that notes when it ran; it takes `takesMs` of the fake clock. */
function noted(clock: FakeClock, id: string, result: RunResult = { costMs: 0 }, takesMs = 0) {
  const starts: number[] = [];
  let running = 0;
  let overlaps = 0;
  const task: Task = {
    id,
    minIntervalMs: 0,
    async run() {
      starts.push(clock.now());
      running += 1;
      if (running > 1) overlaps += 1;
      if (takesMs > 0) await new Promise<void>((resolve) => clock.after(takesMs, resolve));
      running -= 1;
      return result;
    },
  };
  return { task, starts, overlaps: () => overlaps };
}

test('runs at its cadence, measured from start to start', async () => {
  const clock = new FakeClock();
  const one = noted(clock, 'one', { costMs: 0 }, 300);
  const schedule = scheduleOf(clock, [one.task]);
  schedule.start();
  await clock.advance(3_500);
  expect(one.starts).toEqual([0, 1_000, 2_000, 3_000]);
});

test('never overlaps itself, however slow it is, and goes on when it is done', async () => {
  const clock = new FakeClock();
  const slow = noted(clock, 'slow', { costMs: 0 }, 2_500);
  const schedule = scheduleOf(clock, [slow.task]);
  schedule.start();
  await clock.advance(8_000);
  expect(slow.starts).toEqual([0, 2_500, 5_000, 7_500]);
  expect(slow.overlaps()).toBe(0);
});

test('hurries a task that is asked seldom, as often as its share allows', async () => {
  const clock = new FakeClock();
  const costly = noted(clock, 'costly', { costMs: 60 }, 60);
  const schedule = scheduleOf(clock, [costly.task]);
  schedule.start();
  await clock.advance(10_000);
  const before = costly.starts.length;
  expect(schedule.intervalOf('costly')).toBeGreaterThan(1_000);
  for (let look = 0; look < 12; look += 1) {
    await clock.advance(250);
    schedule.hurry('costly', 0.1);
  }
  await clock.advance(250);
  const hurried = costly.starts.slice(before);
  expect(hurried.length).toBeGreaterThanOrEqual(3);
  expect(hurried.length).toBeLessThanOrEqual(5);
  for (const [index, at] of hurried.entries()) {
    if (index > 0) expect(at - (hurried[index - 1] ?? 0)).toBeGreaterThanOrEqual(600);
  }
});

test('a blocked task does not hold up the others', async () => {
  const clock = new FakeClock();
  const blocked: Task = {
    id: 'blocked',
    minIntervalMs: 0,
    run: () => new Promise(() => undefined),
  };
  const free = noted(clock, 'free');
  const schedule = scheduleOf(clock, [blocked, free.task], { concurrency: 2 });
  schedule.start();
  await clock.advance(2_000);
  expect(free.starts).toEqual([0, 1_000, 2_000]);
});

test('no more run at once than allowed; the rest follow as there is room', async () => {
  const clock = new FakeClock();
  const tasks = ['a', 'b', 'c'].map((id) => noted(clock, id, { costMs: 0 }, 100));
  const schedule = scheduleOf(
    clock,
    tasks.map(({ task }) => task),
    { concurrency: 2 },
  );
  schedule.start();
  await clock.advance(500);
  expect(tasks.map(({ starts }) => starts)).toEqual([[0], [0], [100]]);
});

test('tasks start together, though there was no room for all at first and one was asked for in between', async () => {
  const clock = new FakeClock();
  const tasks = ['a', 'b', 'c'].map((id) => noted(clock, id, { costMs: 0 }, 100));
  const schedule = scheduleOf(
    clock,
    tasks.map(({ task }) => task),
    { cadenceMs: 2_000, concurrency: 2 },
  );
  schedule.start();
  await clock.advance(2_700);
  schedule.runNow('a');
  await clock.advance(3_500);
  expect(tasks.map(({ starts }) => starts)).toEqual([
    [0, 2_000, 2_700, 4_000, 6_000],
    [0, 2_000, 4_000, 6_000],
    [100, 2_100, 4_100, 6_100],
  ]);
});

test('a task slower than the cadence keeps to the beat, and to its own lower limit', async () => {
  for (const [cadenceMs, starts] of [
    [2_000, [0, 6_000, 12_000]],
    [5_000, [0, 5_000, 10_000]],
  ] as const) {
    const clock = new FakeClock();
    const slow = noted(clock, 'slow');
    scheduleOf(clock, [{ ...slow.task, minIntervalMs: 5_000 }], { cadenceMs }).start();
    await clock.advance(13_000);
    expect(slow.starts.map(Math.round)).toEqual(starts);
  }
});

test('a task that fails runs again at its next time', async () => {
  const clock = new FakeClock();
  let runs = 0;
  const failing: Task = {
    id: 'failing',
    minIntervalMs: 0,
    run() {
      runs += 1;
      return Promise.reject(new Error('no'));
    },
  };
  const schedule = scheduleOf(clock, [failing]);
  schedule.start();
  await clock.advance(2_500);
  expect(runs).toBe(3);
});

test('one slow run, the first or a later one, does not put a task off for long', async () => {
  const clock = new FakeClock();
  const starts: number[] = [];
  const costs = [1_500, 2, 2, 2, 1_500];
  const task: Task = {
    id: 'mostly quick',
    minIntervalMs: 0,
    run() {
      starts.push(clock.now());
      return Promise.resolve({ costMs: costs[starts.length - 1] ?? 2 });
    },
  };
  scheduleOf(clock, [task]).start();
  await clock.advance(12_000);
  expect(starts.slice(0, 7)).toEqual([0, 4_000, 5_000, 6_000, 7_000, 8_000, 9_000]);
});

test('what costs much is asked so rarely that it keeps to two hundredths of a core', async () => {
  const clock = new FakeClock();
  const costly = noted(clock, 'costly', { costMs: 100 });
  const cheap = noted(clock, 'cheap', { costMs: 1 });
  const schedule = scheduleOf(clock, [costly.task, cheap.task]);
  schedule.start();
  await clock.advance(60_000);
  expect(cheap.starts).toHaveLength(61);
  const used = costly.starts.length * 100 + cheap.starts.length;
  expect(used / 60_000).toBeLessThanOrEqual(0.0225);
  expect(costly.starts.length).toBeGreaterThan(8);
});

test('more to fetch is fetched at once, and does not count against the interval', async () => {
  const clock = new FakeClock();
  let left = 3;
  const starts: number[] = [];
  const loading: Task = {
    id: 'loading',
    minIntervalMs: 0,
    run() {
      starts.push(clock.now());
      left -= 1;
      return Promise.resolve({ costMs: 100, again: left > 0 });
    },
  };
  const schedule = scheduleOf(clock, [loading]);
  schedule.start();
  await clock.advance(1_000);
  expect(starts).toEqual([0, 20, 40]);
});

test('hidden tasks do not run; one that comes into view runs at once when it is due', async () => {
  const clock = new FakeClock();
  const shown = noted(clock, 'shown');
  const hidden = noted(clock, 'hidden');
  const schedule = scheduleOf(clock, [shown.task, hidden.task]);
  schedule.setVisible((id) => id === 'shown');
  schedule.start();
  await clock.advance(2_500);
  expect(hidden.starts).toEqual([]);
  schedule.setVisible(() => true);
  await clock.advance(0);
  expect(hidden.starts).toEqual([2_500]);
});

test('while paused nothing runs but what is asked for', async () => {
  const clock = new FakeClock();
  const one = noted(clock, 'one');
  const schedule = scheduleOf(clock, [one.task]);
  schedule.start();
  await clock.advance(500);
  schedule.setPaused(true);
  await clock.advance(5_000);
  expect(one.starts).toEqual([0]);
  schedule.runNow();
  await clock.advance(2_000);
  expect(one.starts).toEqual([0, 5_500]);
  schedule.setPaused(false);
  await clock.advance(0);
  expect(one.starts).toEqual([0, 5_500, 7_500]);
});

test('asked for while it runs, it runs once more when it is done', async () => {
  const clock = new FakeClock();
  const slow = noted(clock, 'slow', { costMs: 0 }, 400);
  const schedule = scheduleOf(clock, [slow.task]);
  schedule.start();
  await clock.advance(100);
  schedule.runNow('slow');
  schedule.runNow('slow');
  await clock.advance(800);
  expect(slow.starts).toEqual([0, 400]);
});

test('a new cadence holds from the last start on', async () => {
  const clock = new FakeClock();
  const one = noted(clock, 'one');
  const schedule = scheduleOf(clock, [one.task]);
  schedule.start();
  await clock.advance(900);
  schedule.setCadence(5_000);
  await clock.advance(4_000);
  expect(one.starts).toEqual([0]);
  await clock.advance(200);
  expect(one.starts).toEqual([0, 5_000]);
});

test('suspended it starts nothing; started again everything is due', async () => {
  const clock = new FakeClock();
  const one = noted(clock, 'one');
  const schedule = scheduleOf(clock, [one.task]);
  schedule.start();
  await clock.advance(100);
  schedule.suspend();
  await clock.advance(10_000);
  expect(one.starts).toEqual([0]);
  schedule.start();
  await clock.advance(0);
  expect(one.starts).toEqual([0, 10_100]);
});

test('stop waits for what runs, and nothing runs afterwards', async () => {
  const clock = new FakeClock();
  const slow = noted(clock, 'slow', { costMs: 0 }, 400);
  const schedule = scheduleOf(clock, [slow.task]);
  schedule.start();
  await clock.advance(0);
  let stopped = false;
  const stopping = schedule.stop().then(() => (stopped = true));
  await clock.advance(300);
  expect(stopped).toBe(false);
  await clock.advance(200);
  await stopping;
  await clock.advance(5_000);
  expect(slow.starts).toEqual([0]);
});
