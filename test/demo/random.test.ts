import { expect, test } from 'vitest';
import { Embeddings, embeddingDimension, Random } from '../../src/demo/random.js';
import { Incidents } from '../../src/demo/incidents.js';
import { Rhythm } from '../../src/demo/options.js';
import { Scheduler, sleep, type Process } from '../../src/demo/simulation/scheduler.js';
import { intents } from '../../src/demo/vocabulary/intents.js';
import { projects, writePrompt } from '../../src/demo/vocabulary/prompts.js';
import { day, noon } from './helpers.js';

test('equal keys give equal sequences, other keys unrelated ones', () => {
  const draw = (...key: (string | number)[]) => {
    const random = new Random(...key);
    return Array.from({ length: 50 }, () => random.next());
  };
  expect(draw('a', 1)).toEqual(draw('a', 1));
  expect(new Set([...draw('a', 1), ...draw('a', 2), ...draw('a1'), ...draw('', 'a1')]).size).toBe(
    200,
  );
});

test('values are spread evenly, and half of the log-normal ones lie under the median', () => {
  const random = new Random('spread');
  const values = Array.from({ length: 10_000 }, () => random.next());
  for (let tenth = 0; tenth < 10; tenth += 1) {
    const inside = values.filter((value) => value >= tenth / 10 && value < (tenth + 1) / 10);
    expect(inside.length).toBeGreaterThan(850);
    expect(inside.length).toBeLessThan(1_150);
  }
  const durations = Array.from({ length: 10_000 }, () => random.logNormal(100, 1));
  const share = durations.filter((value) => value < 100).length / 10_000;
  expect(share).toBeGreaterThan(0.47);
  expect(share).toBeLessThan(0.53);
  expect(Math.max(...durations)).toBeGreaterThan(1_500);
});

test('uuids have the form of version 4 and do not repeat', () => {
  const random = new Random('uuid');
  const uuids = Array.from({ length: 20_000 }, () => random.uuid());
  const form = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  expect(uuids.filter((uuid) => !form.test(uuid))).toEqual([]);
  expect(new Set(uuids).size).toBe(20_000);
});

function cosine(one: Float32Array, other: Float32Array): number {
  return one.reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0);
}

test('embeddings are unit vectors, near within a cluster and far between clusters', () => {
  const embeddings = new Embeddings();
  const random = new Random('vectors');
  const first = embeddings.near('debug', 0.5, random);
  const second = embeddings.near('debug', 0.5, random);
  const other = embeddings.near('review', 0.5, random);
  expect(first).toHaveLength(embeddingDimension);
  expect(cosine(first, first)).toBeCloseTo(1, 4);
  expect(cosine(first, second)).toBeGreaterThan(0.7);
  expect(Math.abs(cosine(first, other))).toBeLessThan(0.15);
});

test('the rhythm rises with the share, works on weekdays, and favours the present', () => {
  const rhythm = new Rhythm(noon, 120 * day);
  const times = Array.from({ length: 5_001 }, (_, index) => rhythm.timeAt(index / 5_000));
  expect(times.toSorted((one, other) => one - other)).toEqual(times);
  expect(times.at(0)).toBeGreaterThanOrEqual(noon - 120 * day);
  expect(times.at(-1)).toBe(noon);
  const old = times.filter((time) => time < noon - 7 * day);
  const weekend = old.filter((time) => [0, 6].includes(new Date(time).getUTCDay()));
  const night = old.filter((time) => new Date(time).getUTCHours() < 5);
  expect(weekend.length / old.length).toBeLessThan(0.12);
  expect(night.length / old.length).toBeLessThan(0.08);
  expect(times.filter((time) => time > noon - day).length).toBeGreaterThan(1_500);
});

test('next to the start there is always an incident, before and after', () => {
  for (let seed = 0; seed < 20; seed += 1) {
    const incidents = new Incidents(seed, noon);
    const broken = (from: number) =>
      Array.from({ length: 30 }, (_, minute) =>
        incidents.at(noon + (from + minute) * 60_000),
      ).flat();
    expect(broken(-30).some(({ kind }) => kind === 'service')).toBe(true);
    expect(broken(-30).some(({ kind }) => kind === 'hook')).toBe(true);
    expect(broken(0).some(({ kind }) => kind === 'service')).toBe(true);
  }
});

test('the scheduler runs processes in the order of time and joins those side by side', () => {
  const log: string[] = [];
  const scheduler = new Scheduler(1_000, { waitForTurns: false });
  function* say(name: string, ms: number): Process {
    yield sleep(ms);
    log.push(`${scheduler.now} ${name}`);
  }
  function* parent(): Process {
    yield { kind: 'all', processes: [say('slow', 30), say('quick', 10)] };
    log.push(`${scheduler.now} both`);
  }
  scheduler.spawn(parent());
  scheduler.spawn(say('other', 20));
  scheduler.runUntil(1_020);
  expect(log).toEqual(['1010 quick', '1020 other']);
  scheduler.runToEnd();
  expect(log.slice(2)).toEqual(['1030 slow', '1030 both']);
});

test('a process that waits for its turn goes on only when it gets one, first come first served', () => {
  const log: string[] = [];
  const scheduler = new Scheduler(0, { waitForTurns: true });
  function* starter(name: string): Process {
    yield { kind: 'turn' };
    log.push(name);
  }
  scheduler.spawn(starter('a'));
  scheduler.spawn(starter('b'));
  scheduler.spawn(starter('c'), true);
  scheduler.runUntil(1_000);
  expect(log).toEqual(['c']);
  expect([scheduler.giveTurn(), scheduler.giveTurn(), scheduler.giveTurn()]).toEqual([
    true,
    true,
    false,
  ]);
  expect(log).toEqual(['c', 'a', 'b']);
});

test('prompts are well-formed text without open slots', () => {
  const random = new Random('prompts');
  for (let index = 0; index < 2_000; index += 1) {
    const prompt = writePrompt(
      random,
      random.pick(intents),
      random.pick(projects),
      index % 3 === 0,
    );
    expect(prompt.trim()).not.toBe('');
    expect(prompt).not.toMatch(
      /\{(thing|file|symptom|reason|n|project|language)\}|undefined slot|\0/,
    );
    expect(Buffer.from(prompt, 'utf8').toString('utf8')).toBe(prompt);
  }
});
