import { objectOf } from '../../core/values.js';
import { closeSync, openSync, readSync } from 'node:fs';
import path from 'node:path';
import type { Usage } from '../events.js';
import { countOf, isFile, stringOf } from './source.js';

/** What single values of Codex's rollout files mean. */

type Json = Record<string, unknown>;

/** Lines that say nothing of what the agent did. */
export const silentLines: ReadonlySet<string> = new Set([
  'turn_context',
  'world_state',
  'state',
  'ghost_snapshot',
]);

/** Items of the conversation that become no event. */
export const silentItems: ReadonlySet<string> = new Set([
  'reasoning',
  'compaction',
  'compaction_summary',
  'context_compaction',
  'ghost_snapshot',
]);

/** Messages of the program that become no event, or repeat what an item of the conversation says. */
export const silentMessages: ReadonlySet<string> = new Set([
  'agent_reasoning',
  'agent_reasoning_raw_content',
  'agent_reasoning_section_break',
  'agent_message_delta',
  'background_event',
  'context_compacted',
  'deprecation_notice',
  'entered_review_mode',
  'exited_review_mode',
  'exec_approval_request',
  'exec_command_begin',
  'exec_command_output_delta',
  'item_completed',
  'item_started',
  'mcp_startup_complete',
  'mcp_startup_update',
  'mcp_tool_call_begin',
  'patch_apply_begin',
  'plan_update',
  'raw_response_item',
  'session_configured',
  'shutdown_complete',
  'stream_error',
  'thread_name_updated',
  'thread_rolled_back',
  'turn_diff',
  'undo_completed',
  'undo_started',
  'view_image_tool_call',
  'warning',
  'web_search_begin',
  'web_search_end',
]);

/** What the program adds to the conversation in the user's name. */
export function isInjected(text: string): boolean {
  const trimmed = text.trim();
  return (
    /^<([a-z][\w-]{0,63})\b[^>]*>[\s\S]*<\/\1>$/i.test(trimmed) ||
    trimmed.startsWith('# AGENTS.md instructions')
  );
}

/** The thread that a file is of, and where it comes from. */
type Thread = {
  /** The thread's own id. */
  id: string;
  /** The session it belongs to: the thread itself, or the one whose subagent it is. */
  session: string;
  /** Set for a subagent: the thread that started it. */
  parent?: string | undefined;
  type?: string | undefined;
  /** The file begins with a copy of another thread. */
  isFork: boolean;
};

/** Reads a thread from the `session_meta` line, which in early versions has no frame around it. */
export function threadOf(meta: Json): Thread | undefined {
  const id = stringOf(meta.id) ?? stringOf(meta.session_id);
  if (id === undefined) return undefined;
  const spawn = objectOf(objectOf(objectOf(meta.source).subagent).thread_spawn);
  const parent = stringOf(spawn.parent_thread_id) ?? stringOf(meta.parent_thread_id);
  const session = stringOf(meta.session_id);
  return {
    id,
    session: parent === undefined ? id : session === undefined || session === id ? parent : session,
    parent,
    type: stringOf(spawn.agent_role) ?? stringOf(meta.agent_role),
    isFork: parent !== undefined || stringOf(meta.forked_from_id) !== undefined,
  };
}

/** The instructions stand in the first line; it is seldom longer (bytes). */
const longestHead = 1 << 20;

/** The first line of a file as an object; undefined: there is none. */
export function headOf(file: string): Json | undefined {
  let descriptor: number;
  try {
    if (!isFile(file)) return undefined;
    descriptor = openSync(file, 'r');
  } catch {
    return undefined;
  }
  try {
    let bytes = Buffer.alloc(0);
    while (bytes.length < longestHead && !bytes.includes(10)) {
      const chunk = Buffer.allocUnsafe(1 << 16);
      const read = readSync(descriptor, chunk, 0, chunk.length, bytes.length);
      if (read === 0) break;
      bytes = Buffer.concat([bytes, chunk.subarray(0, read)]);
    }
    const end = bytes.indexOf(10);
    return objectOf(JSON.parse(bytes.toString('utf8', 0, end === -1 ? bytes.length : end)));
  } catch {
    return undefined;
  } finally {
    closeSync(descriptor);
  }
}

/** The id at the end of `rollout-2026-01-02T03-04-05-ID.jsonl`. */
export function idInName(file: string): string | undefined {
  return /^rollout-\d{4}-\d{2}-\d{2}T[\d-]{8}-(.+)\.jsonl$/.exec(path.basename(file))?.[1];
}

/** Milliseconds since 1970 in a UUID of version 7; undefined: it is none. */
export function timeInId(id: string | undefined): number | undefined {
  if (id === undefined || !/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-/i.test(id)) return undefined;
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** Codex counts cached tokens as input, and thinking as output. */
function usageOf(usage: Json): Usage {
  const cacheRead = countOf(usage.cached_input_tokens);
  const cacheCreation = countOf(usage.cache_write_input_tokens);
  return {
    input: Math.max(0, countOf(usage.input_tokens) - cacheRead - cacheCreation),
    output: countOf(usage.output_tokens),
    cacheRead,
    cacheCreation,
    cacheCreation1h: 0,
  };
}

const counters = [
  'input_tokens',
  'cached_input_tokens',
  'cache_write_input_tokens',
  'output_tokens',
] as const;

/** Totals of a thread grow with each call: they tell one call from the next, and a line that is repeated is the same. */
function callIdOf(thread: string, total: Json): string {
  return `${thread}:${counters.map((name) => countOf(total[name])).join('-')}`;
}

/** What a total has grown by since the one before. */
function growthOf(total: Json, before: Json): Json {
  return Object.fromEntries(
    counters.map((name) => [name, Math.max(0, countOf(total[name]) - countOf(before[name]))]),
  );
}

/** What is remembered of a thread to tell its calls apart; JSON. */
export type UsageState = {
  thread?: Thread | undefined;
  /** The thread's tokens so far. */
  total: Json;
  /** The version tells of each call in a record of its own. */
  hasRecords: boolean;
};

export type CountedCall = {
  message: string;
  usage: Usage;
  model?: string | undefined;
  requestId?: string | undefined;
};

/** The call that a `token_count` tells of; undefined: it repeats what is known, or tells limits only. */
export function countedCall(info: Json, state: UsageState): CountedCall | undefined {
  const [total, last] = [objectOf(info.total_token_usage), objectOf(info.last_token_usage)];
  const hasTotal = Object.keys(total).length > 0;
  const hasLast = Object.keys(last).length > 0;
  const before = state.total;
  if (hasTotal) state.total = total;
  if (state.hasRecords || !(hasTotal || hasLast)) return undefined;
  const thread = state.thread?.id ?? 'unknown';
  const message = callIdOf(thread, hasTotal ? total : last);
  if (hasTotal && message === callIdOf(thread, before)) return undefined;
  return { message, usage: usageOf(hasLast ? last : growthOf(total, before)) };
}

/** The call that a `token_usage_record` tells of. */
export function recordedCall(record: Json, state: UsageState): CountedCall {
  const [usage, total] = [objectOf(record.usage), objectOf(record.thread_token_usage)];
  const hasTotal = Object.keys(total).length > 0;
  state.hasRecords = true;
  if (hasTotal) state.total = total;
  return {
    message: callIdOf(state.thread?.id ?? 'unknown', hasTotal ? total : usage),
    usage: usageOf(usage),
    model: stringOf(record.model),
    requestId: stringOf(record.response_id),
  };
}
