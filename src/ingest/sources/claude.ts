import { parseExactJson } from '../../core/exact-json.js';
import { byOwnKey, objectOf } from '../../core/values.js';
import path from 'node:path';
import {
  slashCommand,
  type AgentEvent,
  type EventBase,
  type Failure,
  type Place,
} from '../events.js';
import {
  agentTools,
  describeFile,
  mostPending,
  endingsIn,
  hookRuns,
  interruption,
  commandOf,
  isOwnCall,
  isTyped,
  madeByProgram,
  modelCallOf,
  outcomeOf,
  placeOf,
  silent,
  systemEvents,
  type State,
} from './claude-values.js';
import { Neighbours } from './claude-neighbours.js';
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

/** Transcripts of Claude Code: one JSON object a line, one file a session, and one a subagent. */
export const claude: TranscriptSource = {
  id: 'claude',
  title: 'Claude Code',
  folders(environment, home) {
    const configured = environment.CLAUDE_CONFIG_DIR;
    if (configured)
      return configured.split(',').map((folder) => path.join(folder.trim(), 'projects'));
    return [path.join(home, '.claude/projects'), path.join(home, '.config/claude/projects')];
  },
  describe: describeFile,
  companions: (file) => [file.replace(/\.jsonl$/, '')],
  open: (file, state) => new ClaudeReader(file, state),
};

class ClaudeReader implements TranscriptReader {
  readonly #file: TranscriptFile;
  readonly #isOwnCall: boolean;
  readonly #state: State;
  readonly #neighbours: Neighbours;
  #place: Place = {};

  constructor(file: TranscriptFile, state: ReaderState | undefined) {
    this.#file = file;
    this.#isOwnCall = isOwnCall(file.path);
    this.#neighbours = new Neighbours(file.path);
    this.#state = (state as State | undefined) ?? {
      agents: {},
      known: [],
      origin: file.subagent === undefined ? this.#neighbours.findOrigin() : undefined,
    };
  }

  get state(): ReaderState {
    return { ...this.#state };
  }

  read(line: Buffer): readonly AgentEvent[] | undefined {
    // Two lines of three are progress of hooks and shells, which hold no message: not worth parsing.
    if (line.includes('"type":"progress"') && !line.includes('"role":')) {
      return this.#progress(line);
    }
    let parsed: unknown;
    try {
      parsed = parseExactJson(line.toString('utf8'));
    } catch {
      return undefined;
    }
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined;
    return this.#readObject(parsed as Record<string, unknown>);
  }

  #readObject(line: Record<string, unknown>): readonly AgentEvent[] | undefined {
    const at = timeOf(line.timestamp);
    const type = stringOf(line.type);
    if (at === undefined || type === undefined) {
      return type !== undefined && silent.has(type) ? [] : undefined;
    }
    const origin = stringOf(objectOf(line.forkedFrom).sessionId);
    if (origin !== undefined && this.#neighbours.has(`${origin}.jsonl`)) return [];
    if (this.#isCopy(line)) return [];
    const base = this.#base(line, at, origin);
    switch (type) {
      case 'user':
        return this.#user(line, base);
      case 'assistant':
        return this.#assistant(line, base);
      case 'system':
        return systemEvents(line, base);
      case 'attachment':
        return this.#attachment(line, base);
      default:
        return silent.has(type) ? [] : undefined;
    }
  }

  /** The first output of a shell shows that it runs: until then it may have waited for a permission. Later output says no more. */
  #progress(line: Buffer): readonly AgentEvent[] {
    if (!line.includes('"type":"bash_progress"')) return [];
    const toolUse = /"parentToolUseID":"([\w-]{1,200})"/.exec(line.toString('latin1'))?.[1];
    if (toolUse === undefined || toolUse === this.#state.progress) return [];
    this.#state.progress = toolUse;
    const parsed = parsedLine(line) ?? {};
    const at = timeOf(parsed.timestamp);
    if (at === undefined || parsed.forkedFrom !== undefined || this.#isCopy(parsed)) return [];
    return [{ ...this.#base(parsed, at, undefined), kind: 'tool_started', toolUse, tool: 'Bash' }];
  }

  /** Copies come first: behind the first line of its own a file has none. */
  #isCopy({ uuid }: Record<string, unknown>): boolean {
    const { origin } = this.#state;
    if (origin === undefined || typeof uuid !== 'string') return false;
    const isCopy = this.#neighbours.isCopiedFrom(origin, uuid);
    if (!isCopy) this.#state.origin = undefined;
    return isCopy;
  }

  /** A line that a fork copied belongs to the session that it comes from, and so to the same rows. */
  #base(line: Record<string, unknown>, at: number, origin: string | undefined): EventBase {
    const state = this.#state;
    const isOfSubagent = this.#file.subagent !== undefined;
    const subagent = this.#file.subagent ?? stringOf(line.agentId) ?? this.#sidechainOf(line);
    // A file of a subagent may have been copied from another session: its folder says whose it is.
    const session =
      (isOfSubagent ? this.#file.session : undefined) ??
      origin ??
      stringOf(line.sessionId) ??
      this.#file.session ??
      'unknown';
    if (state.session !== session) {
      // Nothing of another session's course holds in this one.
      Object.assign(state, {
        ...{ session, turn: undefined, command: undefined },
        ...{ inputAt: undefined, message: undefined },
      });
    }
    const promptId = stringOf(line.promptId);
    if (promptId !== undefined) state.turn = promptId;
    const own = isOfSubagent || this.#isOwnCall ? undefined : this.#file.path;
    this.#place = placeOf(line, own, this.#place);
    return {
      source: 'transcript',
      agent: 'claude-code',
      session,
      turn: state.turn,
      subagent: this.#isOwnCall ? undefined : subagent,
      at,
      place: this.#place,
    };
  }

  /** Early versions write a subagent's lines into the session's own file; its first line names it. */
  #sidechainOf(line: Record<string, unknown>): string | undefined {
    if (line.isSidechain !== true) return undefined;
    const state = this.#state;
    if (line.parentUuid === null || state.sidechain === undefined) {
      state.sidechain = stringOf(line.uuid) ?? state.sidechain ?? 'sidechain';
    }
    return state.sidechain;
  }

  #user(line: Record<string, unknown>, base: EventBase): readonly AgentEvent[] | undefined {
    const message = objectOf(line.message);
    const { content } = message;
    if (typeof content !== 'string' && !Array.isArray(content)) return undefined;
    if (this.#isOwnCall) return [];
    const results = Array.isArray(content)
      ? content.map(objectOf).filter((block) => block.type === 'tool_result')
      : [];
    if (results.length > 0) {
      this.#state.inputAt = base.at;
      return results.flatMap((block) => this.#toolResult(line, block, base));
    }
    const text = textOf(content);
    if (madeByProgram.some((mark) => line[mark] === true)) {
      const { command } = this.#state;
      const isExpanded = command?.uuid !== undefined && line.parentUuid === command.uuid;
      return isExpanded && isTyped(text) ? this.#commandTurn(base) : [];
    }
    if (text.startsWith(interruption)) return [{ kind: 'interrupted', ...base }];
    if (!isTyped(text)) {
      this.#state.command = base.subagent === undefined ? commandOf(line, base, text) : undefined;
      return [];
    }
    this.#state.inputAt = base.at;
    // A line with only images or blanks is no prompt.
    if (text.trim() === '') return [];
    return base.subagent === undefined
      ? this.#prompt(line, base, text)
      : this.#subagentPrompt(base, text);
  }

  /** The agent works on the slash command that was typed last: a turn began with it. */
  #commandTurn(base: EventBase): AgentEvent[] {
    const { command } = this.#state;
    if (command === undefined) return [];
    const { turn, text, at } = command;
    Object.assign(this.#state, { turn, command: undefined, inputAt: base.at });
    return [{ kind: 'prompt', ...base, at, turn, text, origin: slashCommand }];
  }

  #prompt(line: Record<string, unknown>, base: EventBase, text: string): AgentEvent[] {
    this.#state.command = undefined;
    const turn = stringOf(line.promptId) ?? stringOf(line.uuid) ?? `at:${base.at}`;
    this.#state.turn = turn;
    return [{ kind: 'prompt', ...base, turn, text, origin: stringOf(line.promptSource) }];
  }

  #subagentPrompt(base: EventBase, text: string): AgentEvent[] {
    const id = base.subagent ?? '';
    if (this.#state.known.includes(id)) return [];
    this.#know(id);
    const sidecar = this.#file.sidecar ?? {};
    return [
      {
        kind: 'subagent_started',
        ...base,
        subagent: undefined,
        id,
        prompt: text,
        type: stringOf(sidecar.agentType),
        description: stringOf(sidecar.description),
        toolUse: stringOf(sidecar.toolUseId),
      },
    ];
  }

  #know(subagent: string): void {
    this.#state.known = [...this.#state.known, subagent].slice(-mostPending);
  }

  #toolResult(
    line: Record<string, unknown>,
    block: Record<string, unknown>,
    base: EventBase,
  ): AgentEvent[] {
    const toolUse = stringOf(block.tool_use_id);
    if (toolUse === undefined) return [];
    const text = textOf(block.content);
    const result = line.toolUseResult;
    const { outcome, error, exitCode } = outcomeOf(block.is_error === true, text, result);
    const ended: AgentEvent = {
      kind: 'tool_ended',
      ...base,
      toolUse,
      outcome,
      error,
      exitCode,
      output:
        typeof result === 'object' && result !== null ? result : text === '' ? undefined : text,
    };
    return [ended, ...this.#subagentResult(toolUse, objectOf(result), base, error)];
  }

  /** The result of the tool that ran a subagent names it. */
  #subagentResult(
    toolUse: string,
    result: Record<string, unknown>,
    base: EventBase,
    error: Failure | undefined,
  ): AgentEvent[] {
    const id = stringOf(result.agentId);
    const { agents } = this.#state;
    const asked = byOwnKey(agents, toolUse);
    if (id === undefined || asked === undefined) return [];
    const duration = numberOf(result.totalDurationMs);
    const isBackground = result.isAsync === true || result.status === 'async_launched';
    return [
      { kind: 'subagent_started', ...base, id, toolUse, ...asked, at: base.at - (duration ?? 0) },
      ...(isBackground
        ? []
        : [
            {
              kind: 'subagent_ended' as const,
              ...base,
              id,
              type: asked.type,
              error,
              durationMs: duration,
              totals: {
                tokens: numberOf(result.totalTokens),
                toolCalls: numberOf(result.totalToolUseCount),
              },
            },
          ]),
    ];
  }

  #assistant(line: Record<string, unknown>, told: EventBase): readonly AgentEvent[] | undefined {
    const message = objectOf(line.message);
    if (!Array.isArray(message.content) && typeof message.content !== 'string') return undefined;
    if (line.isApiErrorMessage === true) {
      const error = {
        type: stringOf(line.error) ?? 'api_error',
        message: textOf(message.content),
      };
      return [{ kind: 'turn_ended', ...told, error }];
    }
    if (message.model === '<synthetic>') return [];
    const begun = told.subagent === undefined ? this.#commandTurn(told) : [];
    const base = begun.length === 0 ? told : { ...told, turn: this.#state.turn };
    const blocks = Array.isArray(message.content) ? message.content.map(objectOf) : [];
    return [
      ...begun,
      ...this.#call(line, message, base),
      ...blocks
        .filter(({ type }) => type === 'tool_use')
        .flatMap((block) => this.#toolUse(block, base)),
      ...(this.#isOwnCall ? [] : endingsIn(message, base)),
    ];
  }

  #call(
    line: Record<string, unknown>,
    message: Record<string, unknown>,
    base: EventBase,
  ): AgentEvent[] {
    const id = stringOf(message.id) ?? stringOf(line.requestId) ?? stringOf(line.uuid);
    if (id === undefined) return [];
    const state = this.#state;
    if (state.message?.id !== id) {
      state.message = { id, startedAt: Math.min(state.inputAt ?? base.at, base.at) };
    }
    return [modelCallOf(line, message, base, state.message)];
  }

  #toolUse(block: Record<string, unknown>, base: EventBase): AgentEvent[] {
    const [toolUse, tool] = [stringOf(block.id), stringOf(block.name)];
    if (toolUse === undefined || tool === undefined) return [];
    if (agentTools.has(tool)) {
      const input = objectOf(block.input);
      const entries = Object.entries(this.#state.agents).slice(-mostPending);
      this.#state.agents = Object.fromEntries([
        ...entries,
        [
          toolUse,
          {
            type: stringOf(input.subagent_type) ?? 'general-purpose',
            prompt: stringOf(input.prompt)?.slice(0, 65_536),
            description: stringOf(input.description),
          },
        ],
      ]);
    }
    return [{ kind: 'tool_started', ...base, toolUse, tool, input: block.input }];
  }

  #attachment(line: Record<string, unknown>, base: EventBase): readonly AgentEvent[] {
    const data = objectOf(line.attachment);
    const type = stringOf(data.type) ?? '';
    if (type === 'queued_command' && data.commandMode === 'prompt') {
      const text = textOf(data.prompt);
      return base.subagent === undefined && text !== '' ? this.#prompt(line, base, text) : [];
    }
    return type.startsWith('hook_') ? hookRuns(type, data, base, stringOf(line.uuid)) : [];
  }
}
