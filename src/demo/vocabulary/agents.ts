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
