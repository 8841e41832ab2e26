import { objectOf } from '../../core/values.js';
import path from 'node:path';
import type { AgentEvent, EventBase, Place } from '../events.js';
import { builtInCall, CodexTools, type ToolsState } from './codex-tools.js';
import {
  countedCall,
  headOf,
  idInName,
  isInjected,
  recordedCall,
  silentItems,
  silentLines,
  silentMessages,
  threadOf,
  timeInId,
  type CountedCall,
  type UsageState,
} from './codex-values.js';
import {
  numberOf,
  parsedLine,
  stringOf,
  textOf,
  timeOf,
  type ReaderState,
  type TranscriptFile,
  type TranscriptReader,
  type TranscriptSource,
} from './source.js';

/** Rollouts of Codex CLI: one JSON object a line, one file a thread; a subagent is a thread of its own. */
export const codex: TranscriptSource = {
  id: 'codex',
  title: 'Codex',
  folders(environment, home) {
    const folder = environment.CODEX_HOME ?? path.join(home, '.codex');
    return [path.join(folder, 'sessions'), path.join(folder, 'archived_sessions')];
  },
  describe(file) {
    if (!file.endsWith('.jsonl')) return undefined;
    const head = headOf(file);
    const isRollout = path.basename(file).startsWith('rollout-');
    if (!isRollout && head?.type !== 'session_meta') return undefined;
    const thread = threadOf(objectOf(head?.payload));
    if (thread?.parent === undefined) return { path: file, session: thread?.id ?? idInName(file) };
    return { path: file, session: thread.session, subagent: thread.id };
  },
  open: (file, state) => new CodexReader(file, state),
};

type Json = Record<string, unknown>;

/** An item of the conversation, or a message of the program. */
type Teller = 'item' | 'message';

type State = UsageState & {
  place: Place;
  provider?: string | undefined;
  model?: string | undefined;
  turn?: string | undefined;
  /** The prompt that was told of last, and by which lines; fresh until the agent does something. */
  prompt?: { from: Teller[]; turn: string | undefined; isFresh: boolean } | undefined;
  /** The lines are a copy of another thread until this one's own turn begins. */
  copied?: { startedAt: number; prompt?: string | undefined; hasTasks: boolean } | undefined;
  /** The version tells when a turn begins and ends. */
  hasTasks: boolean;
  hasFailed: boolean;
  /** When the model last got input: the beginning of its next call. */
  inputAt?: number | undefined;
  lastAt: number;
  tools: ToolsState;
};

/** Lines that were copied from another thread are written within this time (ms). */
const copiedWithinMs = 2_000;

const empty = (): State => ({
  place: {},
  hasTasks: false,
  hasFailed: false,
  hasRecords: false,
  total: {},
  lastAt: 0,
  tools: { calls: [], reports: [] },
});

class CodexReader implements TranscriptReader {
  readonly #file: TranscriptFile;
  readonly #state: State;
  readonly #tools: CodexTools;

  constructor(file: TranscriptFile, state: ReaderState | undefined) {
    this.#file = file;
    this.#state = (state as State | undefined) ?? empty();
    this.#tools = new CodexTools(this.#state.tools);
  }

  get state(): ReaderState {
    return { ...this.#state };
  }

  read(bytes: Buffer): readonly AgentEvent[] | undefined {
    const line = parsedLine(bytes);
    if (line === undefined) return undefined;
    const { lastAt } = this.#state;
    // Lines of early versions have no time: they keep their order.
    const at = timeOf(line.timestamp) ?? (lastAt === 0 ? undefined : lastAt + 1);
    if (at === undefined) return undefined;
    this.#state.lastAt = at;
    return this.#readLine(line, at);
  }

  #readLine(line: Json, at: number): readonly AgentEvent[] | undefined {
    const payload = objectOf(line.payload);
    const isFramed = Object.hasOwn(line, 'payload');
    const type = stringOf(line.type);
    const isBareMeta = !isFramed && type === undefined && stringOf(line.id) !== undefined;
    if (isBareMeta) return this.#meta(line, at);
    if (type === 'session_meta') return this.#meta(payload, at);
    if (line.record_type === 'state') return [];
    const pending = this.#passCopy(type, payload, at);
    if (pending === undefined) return [];
    const events = isFramed ? this.#framed(type, payload, at) : this.#item(line, at);
    return pending.length === 0 ? events : [...pending, ...(events ?? [])];
  }

  #framed(type: string | undefined, payload: Json, at: number): readonly AgentEvent[] | undefined {
    switch (type) {
      case 'turn_context':
        return this.#context(payload);
      case 'response_item':
        return this.#item(payload, at);
      case 'event_msg':
        return this.#message(payload, at);
      case 'token_usage_record':
        return this.#called(recordedCall(payload, this.#state), at);
      case 'compacted':
        return [{ ...this.#base(at), kind: 'note', event: 'Compact', id: `compacted:${at}` }];
      default:
        return type !== undefined && silentLines.has(type) ? [] : undefined;
    }
  }

  #base(at: number): EventBase {
    const { thread, place, turn, model } = this.#state;
    const isOfSubagent = thread?.parent !== undefined;
    const session =
      thread?.session ?? this.#file.session ?? path.basename(this.#file.path, '.jsonl');
    return {
      source: 'transcript',
      agent: 'codex',
      session,
      // A subagent's turns are its own: where it belongs in the session is told by who started it.
      turn: isOfSubagent ? undefined : turn,
      subagent: isOfSubagent ? thread.id : undefined,
      at,
      place: {
        ...place,
        ...(isOfSubagent ? {} : { model, transcriptPath: this.#file.path }),
      },
    };
  }

  /** The first one is the thread's own; a copy brings those of others. */
  #meta(meta: Json, at: number): readonly AgentEvent[] {
    const state = this.#state;
    if (state.thread !== undefined) return [];
    const id = this.#file.session ?? path.basename(this.#file.path, '.jsonl');
    state.thread = threadOf(meta) ?? { id, session: id, isFork: false };
    const git = objectOf(meta.git);
    state.provider = stringOf(meta.model_provider);
    state.place = {
      cwd: stringOf(meta.cwd),
      version: stringOf(meta.cli_version),
      entrypoint: stringOf(meta.originator),
      gitBranch: stringOf(git.branch),
      gitCommit: stringOf(git.commit_hash),
    };
    if (state.thread.isFork) {
      state.copied = { startedAt: timeOf(meta.timestamp) ?? at, hasTasks: false };
    }
    if (state.thread.parent !== undefined) return this.#subagentStarted(this.#base(at));
    const reason = state.thread.isFork ? 'fork' : 'startup';
    return [{ ...this.#base(at), kind: 'session_started', reason }];
  }

  /**
   * Passes over what a file copies from another thread. Ids of turns hold their time; without them a copy is known
   * by being written in one go.
   *
   * @returns undefined while the copy goes on, then what the copy had of this thread's own
   */
  #passCopy(
    type: string | undefined,
    payload: Json,
    at: number,
  ): readonly AgentEvent[] | undefined {
    const { copied, thread } = this.#state;
    if (copied === undefined) return [];
    if (type === 'turn_context') this.#context(payload);
    const begun = timeInId(thread?.id);
    const turn = timeInId(stringOf(payload.turn_id));
    const isStart = type === 'event_msg' && payload.type === 'task_started';
    if (isStart) copied.hasTasks = true;
    if (payload.type === 'user_message') copied.prompt = stringOf(payload.message);
    const isLater =
      at > copied.startedAt + copiedWithinMs &&
      (isStart || !copied.hasTasks || begun === undefined);
    const isOwn = begun !== undefined && turn !== undefined ? turn >= begun : isLater;
    if (!isOwn) return undefined;
    this.#state.copied = undefined;
    if (isStart || type === 'turn_context') return [];
    this.#state.turn = undefined;
    // The subagent's own task was told in the moment of the copy.
    return this.#subagentStarted(this.#base(at), copied.hasTasks ? undefined : copied.prompt);
  }

  #context(payload: Json): readonly AgentEvent[] {
    const { place } = this.#state;
    this.#state.model = stringOf(payload.model) ?? this.#state.model;
    const policy = stringOf(payload.approval_policy);
    this.#state.place = {
      ...place,
      cwd: stringOf(payload.cwd) ?? place.cwd,
      permissionMode:
        policy === undefined
          ? place.permissionMode
          : policy === 'never'
            ? 'bypassPermissions'
            : 'default',
    };
    this.#state.turn = stringOf(payload.turn_id) ?? this.#state.turn;
    return [];
  }

  #item(payload: Json, at: number): readonly AgentEvent[] | undefined {
    const type = stringOf(payload.type) ?? (Array.isArray(payload.content) ? 'message' : '');
    switch (type) {
      case 'message':
        return this.#spoken(payload, at);
      case 'function_call':
      case 'custom_tool_call':
      case 'local_shell_call':
        this.#act();
        return this.#tools.start(payload, this.#base(at));
      case 'function_call_output':
      case 'custom_tool_call_output':
        this.#act();
        this.#state.inputAt = at;
        return this.#tools.end(payload, this.#base(at));
      case 'web_search_call':
      case 'image_generation_call':
      case 'tool_search_call':
        this.#act();
        return builtInCall(payload, this.#base(at));
      default:
        return silentItems.has(type) || type.endsWith('_output') ? [] : undefined;
    }
  }

  #spoken(payload: Json, at: number): readonly AgentEvent[] {
    const text = textOf(payload.content);
    if (payload.role === 'assistant') return this.#answered(at);
    if (payload.role !== 'user' || text === '' || isInjected(text)) return [];
    return this.#prompt('item', text, at);
  }

  /** Versions that do not tell when a turn ends: it ended with the last answer. */
  #answered(at: number): readonly AgentEvent[] {
    this.#act();
    const { hasTasks, thread } = this.#state;
    if (hasTasks) return [];
    const base = this.#base(at);
    if (thread?.parent === undefined) return [{ kind: 'turn_ended', ...base }];
    return [{ ...base, subagent: undefined, kind: 'subagent_ended', id: thread.id }];
  }

  /** The agent has done something: what the user says next is a prompt of its own. */
  #act(): void {
    if (this.#state.prompt) this.#state.prompt.isFresh = false;
  }

  /** A prompt stands twice, as an item of the conversation and as a message of the program. */
  #prompt(from: Teller, text: string, at: number): readonly AgentEvent[] {
    const state = this.#state;
    const { prompt, thread } = state;
    const isOfTurn = prompt !== undefined && (!state.hasTasks || prompt.turn === state.turn);
    if (isOfTurn && prompt.isFresh && !prompt.from.includes(from)) {
      prompt.from.push(from);
      return [];
    }
    const isOfSubagent = thread?.parent !== undefined;
    if (!state.hasTasks && !isOfSubagent) state.turn = `at:${at}`;
    state.inputAt = at;
    state.prompt = { from: [from], turn: state.turn, isFresh: true };
    const base = this.#base(at);
    const isFirst = isOfSubagent ? prompt === undefined : !state.hasTasks || !isOfTurn;
    // Text that is typed while the agent works belongs to the current turn.
    if (!isFirst) return [{ kind: 'note', ...base, event: 'UserPrompt', id: `typed:${at}`, text }];
    return isOfSubagent ? this.#subagentStarted(base, text) : [{ kind: 'prompt', ...base, text }];
  }

  #subagentStarted(base: EventBase, prompt?: string): readonly AgentEvent[] {
    const { thread } = this.#state;
    if (thread?.parent === undefined) return [];
    const starter = thread.parent === thread.session ? undefined : thread.parent;
    const type = thread.type ?? 'default';
    return [{ ...base, subagent: starter, kind: 'subagent_started', id: thread.id, type, prompt }];
  }

  #message(payload: Json, at: number): readonly AgentEvent[] | undefined {
    const type = stringOf(payload.type) ?? '';
    switch (type) {
      case 'task_started':
      case 'turn_started':
        return this.#taskStarted(payload, at);
      case 'user_message':
        return this.#prompt('message', stringOf(payload.message) ?? '', at);
      case 'agent_message':
        return this.#answered(at);
      case 'token_count':
        return this.#called(countedCall(objectOf(payload.info), this.#state), at);
      case 'task_complete':
      case 'turn_complete':
        return this.#taskEnded(payload, at);
      case 'turn_aborted':
        return this.#aborted(payload, at);
      case 'error': {
        this.#state.hasFailed = true;
        const info = payload.codex_error_info;
        const kind = stringOf(info) ?? Object.keys(objectOf(info))[0] ?? 'error';
        return [this.#end(at, { type: kind, message: stringOf(payload.message) })];
      }
      case 'exec_command_end':
      case 'patch_apply_end':
      case 'mcp_tool_call_end':
        return this.#tools.report(payload, this.#base(at));
      default:
        return silentMessages.has(type) ? [] : undefined;
    }
  }

  #taskStarted(payload: Json, at: number): readonly AgentEvent[] {
    const state = this.#state;
    Object.assign(state, { hasTasks: true, hasFailed: false, inputAt: at });
    state.turn = stringOf(payload.turn_id) ?? `at:${at}`;
    return [];
  }

  #taskEnded(payload: Json, at: number): readonly AgentEvent[] {
    this.#act();
    // The error before it has already reported the end.
    if (this.#state.hasFailed && stringOf(payload.last_agent_message) === undefined) return [];
    return [this.#end(at, undefined, numberOf(payload.duration_ms))];
  }

  #aborted(payload: Json, at: number): readonly AgentEvent[] {
    this.#act();
    const reason = stringOf(payload.reason) ?? 'interrupted';
    if (reason === 'review_ended') return [this.#end(at)];
    if (reason !== 'interrupted' && reason !== 'replaced') return [this.#end(at, { type: reason })];
    return [{ ...this.#base(at), kind: 'interrupted' }];
  }

  #end(
    at: number,
    error?: { type: string; message?: string | undefined },
    durationMs?: number,
  ): AgentEvent {
    const base = this.#base(at);
    const { thread } = this.#state;
    return thread?.parent === undefined
      ? { kind: 'turn_ended', ...base, error, durationMs }
      : { ...base, subagent: undefined, kind: 'subagent_ended', id: thread.id, error, durationMs };
  }

  #called(call: CountedCall | undefined, at: number): readonly AgentEvent[] {
    const { provider, model, inputAt } = this.#state;
    if (call === undefined) return [];
    this.#state.inputAt = at;
    return [
      {
        ...this.#base(at),
        kind: 'model_call',
        provider: provider ?? 'openai',
        endpoint: '/v1/responses',
        startedAt: Math.min(inputAt ?? at, at),
        ...call,
        model: call.model ?? model,
      },
    ];
  }
}
