import type { ErrorRow } from '../rows.js';

/** What is known of an error type; goes into error_patterns. */
export type ErrorKind = Pick<
  ErrorRow,
  | 'error_category'
  | 'severity'
  | 'error_message_pattern'
  | 'resolution_pattern'
  | 'prevention_strategies'
> & { resolutionSuccessRate: number | null };

const unknown: ErrorKind = {
  error_category: 'system',
  severity: 'medium',
  error_message_pattern: '%',
  resolution_pattern: null,
  prevention_strategies: [],
  resolutionSuccessRate: null,
};

const kinds = new Map(
  Object.entries<Partial<ErrorKind>>({
    RateLimitError: {
      error_category: 'network',
      severity: 'medium',
      error_message_pattern: 'Rate limit reached for tokens per minute; retry after % s',
      resolution_pattern: 'Back off with jitter and spread delegations over a minute',
      resolutionSuccessRate: 0.93,
      prevention_strategies: ['limit parallel delegations', 'cache prompt prefixes'],
    },
    OverloadedError: {
      error_category: 'network',
      severity: 'high',
      error_message_pattern: 'The service is overloaded',
      resolution_pattern: 'Fall back to a smaller model',
      resolutionSuccessRate: 0.81,
      prevention_strategies: ['second provider for the same tier'],
    },
    UpstreamTimeout: {
      error_category: 'network',
      severity: 'high',
      error_message_pattern: 'upstream request timeout after %',
      resolution_pattern: 'Retry once with a smaller context',
      resolutionSuccessRate: 0.72,
      prevention_strategies: ['shorter contexts', 'time-outs by call, not by trace'],
    },
    ServiceUnavailable: {
      error_category: 'network',
      severity: 'critical',
      error_message_pattern: 'no healthy upstream',
      resolution_pattern: 'Wait for the health check, then replay the step',
      resolutionSuccessRate: 0.88,
      prevention_strategies: ['two replicas', 'readiness probes'],
    },
    ConnectionReset: {
      error_category: 'network',
      severity: 'medium',
      error_message_pattern: 'read ECONNRESET',
      resolution_pattern: 'Retry; keep-alive shorter than the proxy’s',
      resolutionSuccessRate: 0.97,
      prevention_strategies: ['align keep-alive times'],
    },
    InternalServerError: {
      error_category: 'integration',
      severity: 'high',
      error_message_pattern: 'internal error, request %',
    },
    NotFound: {
      error_category: 'integration',
      severity: 'low',
      error_message_pattern: 'Not Found: %',
      resolution_pattern: 'Ask for the list first',
      resolutionSuccessRate: 0.9,
    },
    SecondaryRateLimit: {
      error_category: 'integration',
      severity: 'medium',
      error_message_pattern: 'You have exceeded a secondary rate limit',
    },
    HookTimeout: {
      severity: 'high',
      error_message_pattern: 'hook % did not answer within % s',
      resolution_pattern: 'Run it asynchronously',
      resolutionSuccessRate: 0.66,
      prevention_strategies: ['time budget a hook', 'watch p95 by hook'],
    },
    HookCrash: { severity: 'medium', error_message_pattern: 'hook % exited with code %' },
    TypeCheckError: {
      error_category: 'validation',
      severity: 'low',
      error_message_pattern: '% errors found by the type checker',
      resolution_pattern: 'Let the agent read the diagnostics and edit again',
      resolutionSuccessRate: 0.95,
    },
    ToolExecutionError: {
      error_category: 'integration',
      severity: 'medium',
      error_message_pattern: 'command exited with code %',
    },
    PolicyViolation: {
      error_category: 'validation',
      severity: 'high',
      error_message_pattern: 'blocked by policy-guard: %',
      prevention_strategies: ['allow-list of commands'],
    },
    TestsStillFailing: {
      error_category: 'validation',
      severity: 'medium',
      error_message_pattern: '% tests still fail after % attempts',
      resolution_pattern: 'Delegate to agent-debugger with the failing output only',
      resolutionSuccessRate: 0.7,
    },
    ContextLengthExceeded: {
      severity: 'high',
      error_message_pattern: 'prompt is too long: % tokens',
      resolution_pattern: 'Compact before the next step',
      resolutionSuccessRate: 0.99,
      prevention_strategies: ['PreCompact at 80 %', 'read files by range'],
    },
    MaxTurnsExceeded: { severity: 'medium', error_message_pattern: 'stopped after % turns' },
    DelegationFailed: {
      error_category: 'integration',
      severity: 'high',
      error_message_pattern: '% gave up: %',
    },
    AgentTimeout: {
      severity: 'critical',
      error_message_pattern: 'no progress for % s',
      resolution_pattern: 'Restart from the last checkpoint',
      resolutionSuccessRate: 0.58,
      prevention_strategies: ['heartbeat a step'],
    },
  }),
);

export function errorKind(errorType: string): ErrorKind {
  return { ...unknown, ...kinds.get(errorType) };
}

/** How an agent fails by itself. */
export const agentFailures = [
  { weight: 4, errorType: 'TestsStillFailing', message: '{n} tests still fail after 3 attempts' },
  { weight: 3, errorType: 'ContextLengthExceeded', message: 'prompt is too long: 2{n}417 tokens' },
  { weight: 2, errorType: 'MaxTurnsExceeded', message: 'stopped after {n} turns' },
  { weight: 2, errorType: 'ToolExecutionError', message: 'command exited with code {n}' },
] as const;
