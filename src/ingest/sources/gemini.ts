import { objectOf } from '../../core/values.js';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { AgentEvent, EventBase, Failure, Usage } from '../events.js';
import { redact, redactText } from '../redact.js';
import {
  countOf,
  firstLine,
  isFile,
  parsedLine,
  stringOf,
  textOf,
  timeOf,
  type ReaderState,
  type TranscriptFile,
  type TranscriptReader,
  type TranscriptSource,
} from './source.js';
import { ToolPairs, type StoredPairs } from './hook-payload.js';

/**
 * Chats of Gemini CLI: lines that are appended (a message is written again when it has grown), or one JSON object in
 * early versions. A subagent's chat is in a folder of its parent's session.
 */
export const gemini: TranscriptSource = {
  id: 'gemini',
  title: 'Gemini CLI',
  folders: ({ GEMINI_CLI_HOME: own }, home) => [path.join(own ?? home, '.gemini', 'tmp')],
  describe(file) {
    const name = path.basename(file);
    if (/^session-.+\.jsonl?$/.test(name)) {
      const isWhole = name.endsWith('.json');
      // A chat that was resumed goes on in a file of lines, which repeats it.
      return isWhole && existsSync(`${file}l`) ? undefined : { path: file, isWhole };
    }
    const [folder, session] = path.dirname(file).split(path.sep).slice(-2);
    if (folder !== 'chats' || session === undefined || !name.endsWith('.jsonl')) return undefined;
    return { path: file, session, subagent: path.basename(name, '.jsonl') };
  },
  companions: (file, session) =>
    session === undefined ? [] : [path.join(path.dirname(file), path.basename(session))],
  open: (file, state) => new GeminiReader(file, state),
};

type Json = Record<string, unknown>;

type State = {
  session?: string | undefined;
  /** The id of a subagent, as its parent names it. */
  subagent?: string | undefined;
  turn?: string | undefined;
  inputAt?: number | undefined;
  /** The ids that messages and tool calls were given, the newest last. */
  given: [id: string, name: string][];
  /** Hooks tell no ids: theirs are made of what was called, and so are these. */
  pairs: StoredPairs;
  /** Messages so far, and how many of them and of their calls were given a name. */
  count: number;
  order: number;
};

/** So many ids are kept: only the latest messages are written again. */
const mostGiven = 500;

class GeminiReader implements TranscriptReader {
  readonly #file: TranscriptFile;
  readonly #state: State;
  readonly #pairs: ToolPairs;
  readonly #cwd: string | undefined;

  constructor(file: TranscriptFile, state: ReaderState | undefined) {
    this.#file = file;
    this.#state = (state as State | undefined) ?? {
      given: [],
      pairs: [],
      count: 0,
      order: 0,
    };
    this.#pairs = new ToolPairs(this.#state.pairs);
    this.#cwd = projectRoot(file.path);
  }

  get state(): ReaderState {
    return { ...this.#state, pairs: this.#pairs.stored() };
  }

  read(bytes: Buffer): readonly AgentEvent[] | undefined {
    const line = parsedLine(bytes);
    if (line === undefined) return undefined;
    // A rewind takes nothing back here: the calls were made and paid for.
    if (stringOf(line.$rewindTo) !== undefined) return [];
    if (Object.hasOwn(line, '$set')) return this.#header(objectOf(line.$set));
    if (stringOf(line.sessionId) !== undefined) return this.#header(line);
    return this.#message(line);
  }

  /** The beginning of a chat, or what has changed of it. */
  #header(header: Json): readonly AgentEvent[] {
    const state = this.#state;
    const at = timeOf(header.startTime);
    const id = stringOf(header.sessionId);
    const isNew = state.session === undefined;
    const isOfSubagent = this.#file.subagent !== undefined;
    state.session ??= isOfSubagent ? this.#file.session : id;
    if (isOfSubagent) state.subagent ??= id ?? this.#file.subagent;
    const began =
      isNew && !isOfSubagent && at !== undefined
        ? [{ ...this.#base(at), kind: 'session_started' as const, reason: 'startup' }]
        : [];
    // The whole chat; behind lines that were read it is a shortened copy of them.
    const messages = state.count === 0 && Array.isArray(header.messages) ? header.messages : [];
    return [...began, ...messages.flatMap((each) => this.#message(objectOf(each)) ?? [])];
  }

  #base(at: number): EventBase {
    const { session, subagent, turn } = this.#state;
    const isOfSubagent = this.#file.subagent !== undefined;
    return {
      source: 'transcript',
      agent: 'gemini',
      session: session ?? this.#file.session ?? path.basename(this.#file.path),
      turn: isOfSubagent ? undefined : turn,
      subagent: isOfSubagent ? (subagent ?? this.#file.subagent) : undefined,
      at,
      place: {
        cwd: this.#cwd,
        transcriptPath: isOfSubagent ? undefined : this.#file.path,
      },
    };
  }

  #message(message: Json): readonly AgentEvent[] | undefined {
    const at = timeOf(message.timestamp);
    const id = stringOf(message.id);
    if (at === undefined || id === undefined) return undefined;
    this.#state.count += 1;
    switch (message.type) {
      case 'user':
        return this.#user(message, id, at);
      case 'gemini':
        return this.#answer(message, id, at);
      case 'error': {
        const error = { type: 'error', message: firstLine(textOf(message.content)).slice(0, 500) };
        return [{ ...this.#base(at), kind: 'turn_ended', error }];
      }
      case 'info':
        return /^Request cancelled/i.test(textOf(message.content))
          ? [{ ...this.#base(at), kind: 'interrupted' }]
          : [];
      case 'warning':
        return [];
      default:
        return undefined;
    }
  }

  #user(message: Json, id: string, at: number): readonly AgentEvent[] {
    const text = textOf(message.content);
    // Results of tools go to the model in the user's name, and so does the summary of what was compressed.
    if (text.trim() === '' || text.trimStart().startsWith('<state_snapshot>')) return [];
    this.#state.inputAt = at;
    if (this.#file.subagent !== undefined) return this.#task(text, id, at);
    const turn = this.#nameOf(id, (order) =>
      this.#pairs.promptOf(this.#session, redactText(text), order),
    );
    this.#state.turn = turn;
    return [{ ...this.#base(at), kind: 'prompt', turn, text }];
  }

  #task(prompt: string, id: string, at: number): readonly AgentEvent[] {
    const base = this.#base(at);
    const first = this.#state.given[0]?.[0] ?? id;
    this.#nameOf(first, () => 'task');
    if (first !== id) return [];
    return [
      { ...base, subagent: undefined, kind: 'subagent_started', id: base.subagent ?? id, prompt },
    ];
  }

  get #session(): string {
    return this.#base(0).session;
  }

  #answer(message: Json, id: string, at: number): readonly AgentEvent[] {
    const calls = Array.isArray(message.toolCalls) ? message.toolCalls.map(objectOf) : [];
    return [...this.#called(message, id, at), ...calls.flatMap((call) => this.#tool(call, at))];
  }

  #called(message: Json, id: string, at: number): AgentEvent[] {
    const tokens = objectOf(message.tokens);
    if (Object.keys(tokens).length === 0) return [];
    const startedAt = Math.min(this.#state.inputAt ?? at, at);
    return [
      {
        ...this.#base(at),
        kind: 'model_call',
        message: id,
        provider: 'google',
        model: stringOf(message.model),
        endpoint: '/v1beta/models:generateContent',
        startedAt,
        usage: usageOf(tokens),
      },
    ];
  }

  #tool(call: Json, saidAt: number): AgentEvent[] {
    const [id, tool] = [stringOf(call.id), stringOf(call.name)];
    if (id === undefined || tool === undefined) return [];
    const input = call.args;
    const toolUse =
      this.#file.subagent === undefined
        ? this.#nameOf(id, (order) =>
            this.#pairs.startOf(this.#session, tool, redact(input), order),
          )
        : id;
    const at = Math.max(timeOf(call.timestamp) ?? saidAt, saidAt);
    const base = this.#base(saidAt);
    const started: AgentEvent = { kind: 'tool_started', ...base, toolUse, tool, input };
    const { outcome, error } = outcomeOf(call);
    if (outcome === undefined) return [started];
    this.#state.inputAt = at;
    const output = call.result ?? undefined;
    return [
      started,
      { ...base, at, kind: 'tool_ended', toolUse, tool, output, outcome, error },
      ...delegated(call, toolUse, { ...base, at }, error),
    ];
  }

  /** The name that something was given when it was first told of. */
  #nameOf(id: string, name: (order: number) => string): string {
    const state = this.#state;
    const known = state.given.find(([each]) => each === id)?.[1];
    if (known !== undefined) return known;
    state.order += 1;
    const made = name(state.order);
    state.given = [...state.given.slice(1 - mostGiven), [id, made]];
    return made;
  }
}

/** Gemini counts cached tokens as input, and thinking beside output. */
function usageOf(tokens: Json): Usage {
  const [input, cached] = [countOf(tokens.input), countOf(tokens.cached)];
  const output = countOf(tokens.output) + countOf(tokens.thoughts);
  const tool = countOf(tokens.tool);
  // What tools gave to the model is in the input, or beside it: the total tells.
  const isBeside = tool > 0 && input + output + tool === countOf(tokens.total);
  return {
    input: Math.max(0, input - cached) + (isBeside ? tool : 0),
    output,
    cacheRead: cached,
    cacheCreation: 0,
    cacheCreation1h: 0,
  };
}

function outcomeOf({ status, result, resultDisplay }: Json): {
  outcome?: 'completed' | 'failed' | 'cancelled';
  error?: Failure;
} {
  switch (status) {
    case 'success':
      return { outcome: 'completed' };
    case 'cancelled':
      return { outcome: 'cancelled' };
    case 'error': {
      const parts = Array.isArray(result) ? result.map(objectOf) : [];
      const told = parts.flatMap(
        (part) => stringOf(objectOf(objectOf(part.functionResponse).response).error) ?? [],
      );
      const message = told[0] ?? stringOf(resultDisplay) ?? '';
      return {
        outcome: 'failed',
        error: { type: 'tool_error', message: firstLine(message).slice(0, 500) },
      };
    }
    default:
      return {};
  }
}

/** A call that ran a subagent names it. */
function delegated(
  call: Json,
  toolUse: string,
  base: EventBase,
  error: Failure | undefined,
): AgentEvent[] {
  const id = stringOf(call.agentId);
  if (id === undefined) return [];
  const type = stringOf(objectOf(call.args).agent_name) ?? stringOf(call.name);
  return [
    { kind: 'subagent_started', ...base, id, toolUse, type },
    { kind: 'subagent_ended', ...base, id, type, error },
  ];
}

/** The folder of a project's chats says where the project is, in later versions. */
function projectRoot(file: string): string | undefined {
  const folder = /^(.*)[/\\]chats[/\\]/.exec(file)?.[1];
  if (folder === undefined) return undefined;
  const root = path.join(folder, '.project_root');
  try {
    return isFile(root) ? stringOf(readFileSync(root, 'utf8').trim().slice(0, 4_096)) : undefined;
  } catch {
    return undefined;
  }
}
