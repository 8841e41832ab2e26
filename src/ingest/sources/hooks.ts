import { isObject } from '../../core/values.js';
import type { AgentEvent } from '../events.js';
import type { AgentId } from '../install/agent.js';
import type { SpoolRecord } from '../spool/frame.js';
import { type HookAdapter, type ToolPairs } from './hook-payload.js';
import { claudeHooks } from './hooks-claude.js';
import { codexHooks } from './hooks-codex.js';
import { copilotHooks } from './hooks-copilot.js';
import { cursorHooks } from './hooks-cursor.js';
import { geminiHooks } from './hooks-gemini.js';
import { opencodeHooks } from './hooks-opencode.js';

const adapters: Readonly<Record<AgentId, HookAdapter>> = {
  claude: claudeHooks,
  codex: codexHooks,
  gemini: geminiHooks,
  cursor: cursorHooks,
  copilot: copilotHooks,
  opencode: opencodeHooks,
};

/**
 * The events of one record of the spool.
 *
 * @returns undefined where nobody knows what it is: another CLI, another event, or no payload
 */
export function eventsOfRecord(
  record: SpoolRecord,
  pairs: ToolPairs,
): readonly AgentEvent[] | undefined {
  const { cli, payload } = record;
  if (!Object.hasOwn(adapters, cli) || !isObject(payload)) return undefined;
  return adapters[cli as AgentId]({ record, payload, pairs });
}
