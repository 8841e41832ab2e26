import { parseExactJson } from '../../core/exact-json.js';
import { objectOf, readNumber } from '../../core/values.js';
import type { AgentEvent, EventBase, Failure } from '../events.js';
import { firstLine, numberOf, stringOf, textOf } from './source.js';

/** Tool calls of Codex's rollout files, and how they ended. */

type Json = Record<string, unknown>;

type Call = { id: string; tool: string; input?: Json | undefined };

/** What a reader remembers of tools; JSON. */
export type ToolsState = {
  /** Running tools: what ends names only the id. */
  calls: Call[];
  /** Outcomes that a message told before the output came. */
  reports: [id: string, outcome: Outcome][];
};

/** Tools that are remembered; more than that never run at once. */
const mostPending = 200;

export class CodexTools {
  readonly #state: ToolsState;

  /** @param state is changed in place */
  constructor(state: ToolsState) {
    this.#state = state;
  }

  start(payload: Json, base: EventBase): AgentEvent[] {
    const toolUse = stringOf(payload.call_id) ?? stringOf(payload.id);
    if (toolUse === undefined) return [];
    const isShell = payload.type === 'local_shell_call';
    const tool = isShell ? 'local_shell' : (stringOf(payload.name) ?? 'unknown');
    const input = inputOf(payload);
    this.#state.calls = [
      ...this.#state.calls.slice(1 - mostPending),
      { id: toolUse, tool, ...(tool === 'spawn_agent' ? { input: objectOf(input) } : {}) },
    ];
    return [{ kind: 'tool_started', ...base, toolUse, tool, input }];
  }

  end({ call_id: id, output }: Json, base: EventBase): AgentEvent[] {
    const toolUse = stringOf(id);
    if (toolUse === undefined) return [];
    const state = this.#state;
    const call = state.calls.find((each) => each.id === toolUse);
    const report = state.reports.find(([each]) => each === toolUse)?.[1];
    state.calls = state.calls.filter((each) => each !== call);
    state.reports = state.reports.filter(([each]) => each !== toolUse);
    const outcome = report ?? outcomeOfOutput(output);
    return [
      { kind: 'tool_ended', ...base, toolUse, tool: call?.tool, output, ...outcome },
      ...(call?.tool === 'spawn_agent' ? spawned(call, output, base) : []),
    ];
  }

  report(payload: Json, base: EventBase): AgentEvent[] {
    const toolUse = stringOf(payload.call_id);
    const report = reportOf(payload);
    if (toolUse === undefined || report === undefined) return [];
    this.#state.reports = [...this.#state.reports.slice(1 - mostPending), [toolUse, report]];
    return [{ kind: 'tool_ended', ...base, toolUse, ...report }];
  }
}

/** The arguments of a call are JSON in a text. */
function inputOf({ action, input, arguments: given }: Json): unknown {
  if (action !== undefined || input !== undefined) return action ?? input;
  if (typeof given !== 'string') return given;
  const value = parsed(given);
  return Object.keys(value).length > 0 ? value : given;
}

/** The tool that starts a subagent answers with its id. */
function spawned(call: Call, output: unknown, base: EventBase): AgentEvent[] {
  const id = stringOf(parsed(textOf(objectOf(output).content ?? output)).agent_id);
  if (id === undefined) return [];
  return [
    {
      kind: 'subagent_started',
      ...base,
      id,
      toolUse: call.id,
      type: stringOf(call.input?.agent_type) ?? 'default',
      prompt: stringOf(call.input?.message)?.slice(0, 65_536),
    },
  ];
}

type Outcome = {
  outcome: 'completed' | 'failed' | 'denied' | 'cancelled';
  error?: Failure;
  exitCode?: number;
  durationMs?: number;
};

/** The outcome that an exit code or a flag tells. */
function outcomeOfCode(exitCode: number | undefined, isFailed: boolean, text = ''): Outcome {
  const code = exitCode === undefined ? {} : { exitCode };
  if (!isFailed && (exitCode ?? 0) === 0) return { outcome: 'completed', ...code };
  const type = exitCode === undefined || exitCode === 0 ? 'tool_error' : `exit_code_${exitCode}`;
  return { outcome: 'failed', error: { type, message: firstLine(text).slice(0, 500) }, ...code };
}

/** Words with which a tool says that it did not run, or failed. */
const failures =
  /^(?:apply_patch verification failed|failed to |execution error|unsupported call|tool call error|tool call failed|unknown tool|error:|err:|exec_command failed|write_stdin failed|unable to |invalid )/i;

/** The outcome that a tool's output tells; versions say it in different shapes. */
function outcomeOfOutput(output: unknown): Outcome {
  const told = toldOutput(output);
  const { text } = told;
  if (told.exitCode !== undefined) {
    return { ...outcomeOfCode(told.exitCode, false, told.body), ...timed(told.seconds) };
  }
  if (/^aborted\b/i.test(text)) {
    return { outcome: 'cancelled', error: { type: 'interrupted', message: firstLine(text) } };
  }
  if (/rejected by user|blocked by PreToolUse hook|^patch rejected/i.test(firstLine(text))) {
    return { outcome: 'denied', error: { type: 'permission_denied', message: firstLine(text) } };
  }
  const isFailed = told.success === false || (told.success !== true && failures.test(text));
  return { ...outcomeOfCode(undefined, isFailed, text), ...timed(told.seconds) };
}

type Told = {
  text: string;
  /** What the command itself wrote. */
  body: string;
  exitCode?: number | undefined;
  seconds?: number | undefined;
  success?: boolean | undefined;
};

function toldOutput(told: unknown): Told {
  let output = told;
  let record = objectOf(output);
  let success: boolean | undefined;
  // What stands outside is said of the whole.
  while (Object.hasOwn(record, 'content') || Object.hasOwn(record, 'success')) {
    if (typeof record.success === 'boolean') success ??= record.success;
    output = record.content ?? '';
    record = objectOf(output);
  }
  return { ...toldPlainly(output, record), ...(success === undefined ? {} : { success }) };
}

function toldPlainly(output: unknown, record: Json): Told {
  const text = textOf(output);
  const inner = text.startsWith('{') ? parsed(text) : record;
  const metadata = objectOf(inner.metadata);
  if (Object.hasOwn(metadata, 'exit_code')) {
    return {
      text,
      body: stringOf(inner.output) ?? '',
      exitCode: numberOf(metadata.exit_code),
      seconds: numberOf(metadata.duration_seconds),
    };
  }
  const end = /^Output:\n?/m.exec(text);
  const head = end ? text.slice(0, end.index) : text.slice(0, 200);
  const code = /^(?:Exit code:|Process exited with code|Command exited with code) (-?\d{1,10})$/m;
  const wall = /^Wall time: (\d+(?:\.\d+)?) seconds/m.exec(head)?.[1];
  const exit = code.exec(head)?.[1];
  return {
    text,
    body: end ? text.slice(end.index + end[0].length) : text,
    exitCode: exit === undefined ? undefined : readNumber(exit),
    seconds: wall === undefined ? undefined : readNumber(wall),
  };
}

const timed = (seconds: number | undefined): { durationMs?: number } =>
  seconds === undefined ? {} : { durationMs: Math.round(seconds * 1_000) };

/** JSON that stands in a text; an empty object where it is none. */
function parsed(text: string): Json {
  try {
    return objectOf(parseExactJson(text));
  } catch {
    return {};
  }
}

/** `{secs, nanos}` as milliseconds. */
function durationOf(value: unknown): number | undefined {
  const { secs, nanos } = objectOf(value);
  const seconds = numberOf(secs);
  return seconds === undefined
    ? undefined
    : Math.round(seconds * 1_000 + (numberOf(nanos) ?? 0) / 1e6);
}

/** What a message at a tool's end says beside its output, where a version writes it. */
function reportOf(payload: Json): Outcome | undefined {
  const durationMs = durationOf(payload.duration);
  const timing = durationMs === undefined ? {} : { durationMs };
  switch (payload.type) {
    case 'exec_command_end': {
      if (payload.status === 'declined') return { outcome: 'denied', ...timing };
      const text = stringOf(payload.aggregated_output) ?? stringOf(payload.stderr) ?? '';
      return { ...outcomeOfCode(numberOf(payload.exit_code), false, text), ...timing };
    }
    case 'patch_apply_end': {
      if (payload.status === 'declined') return { outcome: 'denied' };
      return outcomeOfCode(undefined, payload.success === false, stringOf(payload.stderr));
    }
    case 'mcp_tool_call_end': {
      const result = objectOf(payload.result);
      const ok = objectOf(result.Ok);
      const refused = stringOf(result.Err);
      const isFailed = refused !== undefined || ok.isError === true || ok.is_error === true;
      return { ...outcomeOfCode(undefined, isFailed, refused ?? textOf(ok.content)), ...timing };
    }
    default:
      return undefined;
  }
}

/** A call that has no output of its own: a search, an image. Its result may be megabytes and is left out. */
export function builtInCall(payload: Json, base: EventBase): AgentEvent[] {
  const type = stringOf(payload.type) ?? '';
  const toolUse = stringOf(payload.id) ?? stringOf(payload.call_id) ?? `${type}:${base.at}`;
  const tool = type.replace(/_call$/, '');
  const { status, action } = payload;
  const outcome =
    status === 'failed' ? outcomeOfCode(undefined, true) : outcomeOfCode(undefined, false);
  const input = action ?? payload.arguments ?? { prompt: payload.revised_prompt };
  return [
    { kind: 'tool_started', ...base, toolUse, tool, input },
    ...(status === 'in_progress'
      ? []
      : [{ kind: 'tool_ended' as const, ...base, toolUse, tool, ...outcome }]),
  ];
}
