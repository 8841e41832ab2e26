/** The hooks that the demo's users have set up, by the event names of agent CLIs. */
export type Hook = {
  type: string;
  name: string;
  /** Tools that it listens to; empty: every tool, or an event without one. */
  tools: readonly string[];
  /** Share of the events that it runs for. */
  share: number;
  /** Median, ms, and the spread of its logarithm. */
  medianMs: number;
  sigma: number;
  failureRate: number;
  does?: 'rag' | 'quality' | 'format' | 'policy';
};

const edits = ['Edit', 'Write'] as const;

export const hooks: readonly Hook[] = [
  {
    type: 'SessionStart',
    name: 'session-bootstrap',
    tools: [],
    share: 1,
    medianMs: 180,
    sigma: 0.5,
    failureRate: 0.004,
  },
  {
    type: 'UserPromptSubmit',
    name: 'context-inject',
    tools: [],
    share: 1,
    medianMs: 60,
    sigma: 0.7,
    failureRate: 0.006,
    does: 'rag',
  },
  {
    type: 'UserPromptSubmit',
    name: 'prompt-redactor',
    tools: [],
    share: 0.5,
    medianMs: 6,
    sigma: 0.4,
    failureRate: 0.001,
  },
  {
    type: 'PreToolUse',
    name: 'policy-guard',
    tools: [],
    share: 0.8,
    medianMs: 12,
    sigma: 0.6,
    failureRate: 0.002,
    does: 'policy',
  },
  {
    type: 'PreToolUse',
    name: 'secret-scan',
    tools: ['Bash', ...edits],
    share: 0.7,
    medianMs: 45,
    sigma: 0.9,
    failureRate: 0.006,
  },
  {
    type: 'PostToolUse',
    name: 'format-on-save',
    tools: edits,
    share: 0.9,
    medianMs: 240,
    sigma: 0.8,
    failureRate: 0.012,
    does: 'format',
  },
  {
    type: 'PostToolUse',
    name: 'type-check',
    tools: edits,
    share: 0.6,
    medianMs: 850,
    sigma: 0.9,
    failureRate: 0.035,
  },
  {
    type: 'PostToolUse',
    name: 'quality-gate',
    tools: edits,
    share: 0.4,
    medianMs: 120,
    sigma: 0.8,
    failureRate: 0.015,
    does: 'quality',
  },
  {
    type: 'PostToolUse',
    name: 'trace-recorder',
    tools: [],
    share: 0.55,
    medianMs: 9,
    sigma: 0.7,
    failureRate: 0.001,
  },
  {
    type: 'PostToolUseFailure',
    name: 'failure-notes',
    tools: [],
    share: 0.8,
    medianMs: 20,
    sigma: 0.5,
    failureRate: 0.004,
  },
  {
    type: 'SubagentStop',
    name: 'pattern-extractor',
    tools: [],
    share: 0.9,
    medianMs: 90,
    sigma: 0.9,
    failureRate: 0.008,
  },
  {
    type: 'Stop',
    name: 'transcript-sync',
    tools: [],
    share: 1,
    medianMs: 320,
    sigma: 1.1,
    failureRate: 0.02,
  },
  {
    type: 'PreCompact',
    name: 'memory-snapshot',
    tools: [],
    share: 1,
    medianMs: 400,
    sigma: 0.8,
    failureRate: 0.01,
  },
  {
    type: 'SessionEnd',
    name: 'session-report',
    tools: [],
    share: 1,
    medianMs: 150,
    sigma: 0.6,
    failureRate: 0.006,
  },
];

export function hooksFor(type: string, tool: string | null): readonly Hook[] {
  return hooks.filter(
    (hook) =>
      hook.type === type &&
      (hook.tools.length === 0 || (tool !== null && hook.tools.includes(tool))),
  );
}

/** How long a tool itself takes: median, ms, and spread. */
export const toolTimes = new Map(
  Object.entries({
    Bash: { medianMs: 700, sigma: 1.1 },
    Read: { medianMs: 8, sigma: 0.5 },
    Grep: { medianMs: 40, sigma: 0.8 },
    Glob: { medianMs: 20, sigma: 0.6 },
    Edit: { medianMs: 15, sigma: 0.5 },
    Write: { medianMs: 18, sigma: 0.5 },
    WebFetch: { medianMs: 600, sigma: 0.7 },
    WebSearch: { medianMs: 450, sigma: 0.6 },
  }),
);
