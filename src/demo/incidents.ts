import { Random } from './random.js';
import { agents } from './vocabulary/agents.js';
import { hooks } from './vocabulary/hooks.js';
import { services } from './vocabulary/services.js';

/** What is wrong for some minutes. */
export type Incident =
  | { kind: 'service'; target: string; share: number }
  | { kind: 'agent'; target: string; share: number }
  | { kind: 'hook'; target: string; slowdown: number };

type Window = { from: number; until: number; incident: Incident };

const minute = 60_000;
const period = 30 * minute;

/**
 * Failures that cluster in time. The half hours before and after `start` are numbered; about every
 * third has an incident of some minutes, always those next to `start`, so that a fresh backfill and
 * a short live run both have one. Now and then a hook is slow for most of an hour.
 */
export class Incidents {
  readonly #seed: number;
  readonly #start: number;
  readonly #known = new Map<number, Window[]>();

  constructor(seed: number, start: number) {
    this.#seed = seed;
    this.#start = start;
  }

  /** Everything that is wrong at this time. */
  at(time: number): Incident[] {
    const index = Math.floor((time - this.#start) / period);
    return this.#windows(index)
      .filter(({ from, until }) => from <= time && time < until)
      .map(({ incident }) => incident);
  }

  /** The share of calls to the service that fail because of an incident, 0 to 1. */
  failingService(name: string, time: number): number {
    return this.#share('service', name, time);
  }

  failingAgent(name: string, time: number): number {
    return this.#share('agent', name, time);
  }

  /** Factor on the hook's duration. */
  hookSlowdown(name: string, time: number): number {
    const slow = this.at(time).find(({ kind, target }) => kind === 'hook' && target === name);
    return slow?.kind === 'hook' ? slow.slowdown : 1;
  }

  #share(kind: 'service' | 'agent', target: string, time: number): number {
    const found = this.at(time).find((one) => one.kind === kind && one.target === target);
    return found && found.kind !== 'hook' ? found.share : 0;
  }

  #windows(index: number): Window[] {
    const known = this.#known.get(index);
    if (known) return known;
    const windows = this.#draw(index);
    if (this.#known.size > 1_000) this.#known.clear();
    this.#known.set(index, windows);
    return windows;
  }

  #draw(index: number): Window[] {
    const random = new Random('incident', this.#seed, index);
    const begin = this.#start + index * period;
    const windows: Window[] = [];
    const nextToStart = index === -1 || index === 0;
    if (random.chance(0.35) || nextToStart) {
      const from = begin + (index === 0 ? 2 : random.between(3, 18)) * minute;
      const length = random.between(3, 9) * minute;
      windows.push({ from, until: from + length, incident: brokenPart(random, nextToStart) });
    }
    if (random.chance(0.08) || index === -1) {
      const slow = random.pick(hooks.filter(({ medianMs }) => medianMs >= 60));
      const incident: Incident = {
        kind: 'hook',
        target: slow.name,
        slowdown: random.between(5, 14),
      };
      windows.push({ from: begin, until: begin + 0.8 * period, incident });
    }
    return windows;
  }
}

function brokenPart(random: Random, nextToStart: boolean): Incident {
  if (nextToStart || random.chance(0.65)) {
    const { anthropic, openai, rag, embeddings } = services;
    const busy = [anthropic, openai, rag, embeddings];
    const { name } = random.pick(nextToStart ? busy : Object.values(services));
    return { kind: 'service', target: name, share: random.between(0.6, 0.97) };
  }
  return { kind: 'agent', target: random.pick(agents).name, share: random.between(0.4, 0.8) };
}
