import { expect, test } from 'vitest';
import { Store } from '../../src/live/state.js';
import { FakeClock } from './fake-clock.js';

test('tells many changes at once, and the state is the same object until it changes', async () => {
  const clock = new FakeClock();
  const store = new Store({ a: 1, b: 1 }, clock);
  let told = 0;
  store.subscribe(() => (told += 1));
  const before = store.getState();
  expect(store.getState()).toBe(before);
  store.update({ a: 2 });
  store.update({ b: 2 });
  expect(store.getState()).toEqual({ a: 2, b: 2 });
  expect(before).toEqual({ a: 1, b: 1 });
  expect(told).toBe(0);
  await clock.advance(30);
  expect(told).toBe(1);
  await clock.advance(1_000);
  expect(told).toBe(1);
});

test('who has unsubscribed, or whose store is closed, is not told', async () => {
  const clock = new FakeClock();
  const store = new Store({ a: 1 }, clock);
  let told = 0;
  const unsubscribe = store.subscribe(() => (told += 1));
  store.update({ a: 2 });
  unsubscribe();
  await clock.advance(100);
  store.subscribe(() => (told += 1));
  store.update({ a: 3 });
  store.close();
  await clock.advance(100);
  expect(told).toBe(0);
});
