import { createHash } from 'node:crypto';
import type { AgentEvent } from './events.js';

/** A permission that a session waits for; kept with its last sign of life. */
export type Ask = {
  at: number;
  tool?: string | undefined;
  toolUse?: string | undefined;
  agent?: string | undefined;
  /** A hash of what the tool was given. */
  input?: string | undefined;
};

type Asked = Extract<AgentEvent, { kind: 'permission' }>;

/** So many are waited for at a time; more are not kept. */
const mostAsks = 20;

/** Hooks overtake each other by so much (ms): what comes later than that was answered meanwhile. */
const overtakenMs = 5_000;

/** Tools that start subagents: that one has started says that it was allowed to. */
const starters: ReadonlySet<string> = new Set(['Agent', 'Task', 'spawn_agent']);

/**
 * The permissions that are waited for after an event. Nobody tells that one was given by hand: it is known by what the same
 * agent does next, by the end of the tool, or by telemetry and transcripts, which tell it sooner.
 *
 * @param last the sign of life before: a tool that has just begun is the one that is asked about
 */
export function asksAfter(
  event: AgentEvent,
  asks: readonly Ask[],
  last: { kind?: string; tool?: string | undefined; toolUse?: string },
  seenAt: number,
): readonly Ask[] {
  if (event.kind !== 'permission' || event.decision !== 'ask') {
    return asks.filter((ask) => event.at < ask.at || !isAnswer(event, ask));
  }
  const ask = askOf(event, last);
  const isKnown = asks.some((each) => isSameTool(each, ask));
  const isPast = event.at < seenAt - overtakenMs;
  return isKnown || isPast || asks.length >= mostAsks ? asks : [...asks, ask];
}

function askOf(event: Asked, last: Parameters<typeof asksAfter>[2]): Ask {
  const { at, tool, subagent: agent } = event;
  const begun = last.kind === 'tool_started' && last.tool === tool ? last.toolUse : undefined;
  return { at, tool, agent, toolUse: event.toolUse ?? begun, input: hashOf(event.input) };
}

function hashOf(input: unknown): string | undefined {
  if (input === undefined) return undefined;
  return createHash('sha1').update(JSON.stringify(input)).digest('hex').slice(0, 16);
}

function isSameTool(ask: Ask, other: Omit<Ask, 'at'>): boolean {
  if (ask.toolUse !== undefined && other.toolUse !== undefined)
    return ask.toolUse === other.toolUse;
  const isSameInput =
    ask.input === undefined || other.input === undefined || ask.input === other.input;
  return ask.tool !== undefined && ask.tool === other.tool && isSameInput;
}

function isAnswer(event: AgentEvent, ask: Ask): boolean {
  // Telemetry does not say in which subagent something happened.
  const isOfAgent = event.subagent === ask.agent || event.source === 'telemetry';
  switch (event.kind) {
    case 'session_started':
    case 'session_ended':
      return true;
    case 'interrupted':
      return event.subagent === undefined || isOfAgent;
    case 'prompt':
    case 'turn_ended':
      return isOfAgent;
    case 'model_call':
      return isOfAgent && (event.startedAt ?? event.at) > ask.at;
    case 'tool_started':
      return event.toolUse === ask.toolUse && event.at > ask.at;
    case 'tool_ended':
    case 'permission': {
      const { tool, toolUse } = event;
      const isNamed = toolUse !== undefined && toolUse === ask.toolUse;
      return (
        isNamed || (isOfAgent && isSameTool(ask, { tool, toolUse, input: hashOf(event.input) }))
      );
    }
    case 'subagent_started':
      return starters.has(ask.tool ?? '') && ask.agent === event.subagent;
    case 'subagent_ended':
      return event.id === ask.agent;
    default:
      return false;
  }
}
