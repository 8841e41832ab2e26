import type { Service } from './services.js';

/** Who works: what each agent is good at, how often it succeeds, how long it thinks. */
export type Agent = {
  name: string;
  /** How often it is asked. */
  weight: number;
  /** Share of its runs that succeed when nothing else goes wrong. */
  successRate: number;
  /** Factor on the time that a step takes. */
  pace: number;
  /** What it is mostly run on; see models.ts. */
  model: string;
  tools: readonly string[];
  /** Agents that it hands parts of its work to. */
  delegatesTo: readonly string[];
};

const reading = ['Read', 'Grep', 'Glob'] as const;
const writing = [...reading, 'Edit', 'Write', 'Bash'] as const;

export const agents: readonly Agent[] = [
  {
    name: 'agent-backend-engineer',
    weight: 9,
    successRate: 0.95,
    pace: 1,
    model: 'claude-sonnet-4-5',
    tools: writing,
    delegatesTo: ['agent-test-writer', 'agent-database-tuner', 'agent-code-reviewer'],
  },
  {
    name: 'agent-debugger',
    weight: 8,
    successRate: 0.91,
    pace: 1.2,
    model: 'claude-sonnet-4-5',
    tools: writing,
    delegatesTo: ['agent-test-writer', 'agent-researcher', 'agent-code-reviewer'],
  },
  {
    name: 'agent-code-reviewer',
    weight: 7,
    successRate: 0.98,
    pace: 0.7,
    model: 'gpt-5',
    tools: [...reading, 'mcp__github__get_pull_request'],
    delegatesTo: ['agent-security-auditor', 'agent-researcher'],
  },
  {
    name: 'agent-test-writer',
    weight: 7,
    successRate: 0.93,
    pace: 0.8,
    model: 'claude-haiku-4-5',
    tools: writing,
    delegatesTo: ['agent-debugger'],
  },
  {
    name: 'agent-frontend-engineer',
    weight: 6,
    successRate: 0.92,
    pace: 1,
    model: 'claude-sonnet-4-5',
    tools: [...writing, 'WebFetch'],
    delegatesTo: ['agent-test-writer', 'agent-code-reviewer'],
  },
  {
    name: 'agent-refactorer',
    weight: 5,
    successRate: 0.9,
    pace: 1.1,
    model: 'claude-sonnet-4-5',
    tools: writing,
    delegatesTo: ['agent-test-writer', 'agent-code-reviewer'],
  },
  {
    name: 'agent-database-tuner',
    weight: 4,
    successRate: 0.94,
    pace: 1.3,
    model: 'gpt-5',
    tools: [...reading, 'Bash', 'mcp__postgres__query'],
    delegatesTo: ['agent-researcher'],
  },
  {
    name: 'agent-devops-engineer',
    weight: 4,
    successRate: 0.86,
    pace: 1.4,
    model: 'gpt-5',
    tools: [...writing, 'mcp__kubernetes__apply'],
    delegatesTo: ['agent-security-auditor', 'agent-dependency-keeper'],
  },
  {
    name: 'agent-technical-writer',
    weight: 4,
    successRate: 0.99,
    pace: 0.6,
    model: 'claude-haiku-4-5',
    tools: [...reading, 'Write'],
    delegatesTo: ['agent-researcher'],
  },
  {
    name: 'agent-researcher',
    weight: 4,
    successRate: 0.96,
    pace: 0.9,
    model: 'gemini-2.5-pro',
    tools: [...reading, 'WebFetch', 'WebSearch'],
    delegatesTo: [],
  },
  {
    name: 'agent-security-auditor',
    weight: 3,
    successRate: 0.97,
    pace: 1.2,
    model: 'claude-opus-4-5',
    tools: [...reading, 'Bash'],
    delegatesTo: ['agent-dependency-keeper'],
  },
  {
    name: 'agent-dependency-keeper',
    weight: 2,
    successRate: 0.82,
    pace: 1.5,
    model: 'gpt-5-mini',
    tools: [...reading, 'Bash', 'WebFetch'],
    delegatesTo: ['agent-test-writer'],
  },
  {
    name: 'agent-incident-commander',
    weight: 2,
    successRate: 0.88,
    pace: 0.9,
    model: 'claude-opus-4-5',
    tools: [...reading, 'Bash', 'mcp__grafana__query', 'mcp__slack__post_message'],
    delegatesTo: ['agent-debugger', 'agent-database-tuner', 'agent-devops-engineer'],
  },
];

const byName = new Map(agents.map((agent) => [agent.name, agent]));

export function agentNamed(name: string): Agent {
  const agent = byName.get(name);
  if (!agent) throw new RangeError(`There is no agent ${name}.`);
  return agent;
}

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

const modelsByName = new Map(models.map((model) => [model.name, model]));

export function modelNamed(name: string): Model {
  const model = modelsByName.get(name);
  if (!model) throw new RangeError(`There is no model ${name}.`);
  return model;
}
