import type { Service } from './services.js';

/** A language model with its price in US dollars a million tokens (list prices, late 2025). */
export type Model = {
  name: string;
  provider: string;
  service: Service['name'];
  input: number;
  output: number;
  cacheRead: number;
  cacheWrite: number;
  /** Median of one call, ms. */
  latencyMs: number;
};

export const models: readonly Model[] = [
  {
    name: 'claude-sonnet-4-5',
    provider: 'anthropic',
    service: 'anthropic-api',
    input: 3,
    output: 15,
    cacheRead: 0.3,
    cacheWrite: 3.75,
    latencyMs: 1_500,
  },
  {
    name: 'claude-haiku-4-5',
    provider: 'anthropic',
    service: 'anthropic-api',
    input: 1,
    output: 5,
    cacheRead: 0.1,
    cacheWrite: 1.25,
    latencyMs: 700,
  },
  {
    name: 'claude-opus-4-5',
    provider: 'anthropic',
    service: 'anthropic-api',
    input: 5,
    output: 25,
    cacheRead: 0.5,
    cacheWrite: 6.25,
    latencyMs: 2_300,
  },
  {
    name: 'gpt-5',
    provider: 'openai',
    service: 'openai-api',
    input: 1.25,
    output: 10,
    cacheRead: 0.125,
    cacheWrite: 0,
    latencyMs: 1_900,
  },
  {
    name: 'gpt-5-mini',
    provider: 'openai',
    service: 'openai-api',
    input: 0.25,
    output: 2,
    cacheRead: 0.025,
    cacheWrite: 0,
    latencyMs: 800,
  },
  {
    name: 'gemini-2.5-pro',
    provider: 'google',
    service: 'vertex-api',
    input: 1.25,
    output: 10,
    cacheRead: 0.31,
    cacheWrite: 0,
    latencyMs: 1_400,
  },
];

const byName = new Map(models.map((model) => [model.name, model]));

export function modelNamed(name: string): Model {
  const model = byName.get(name);
  if (!model) throw new RangeError(`There is no model ${name}.`);
  return model;
}
