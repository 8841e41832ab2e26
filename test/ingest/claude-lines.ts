/** Lines of Claude Code's transcripts, in the shapes of its versions 2.1.3xx. */

export type Line = Record<string, unknown>;

export const text = (words: string) => ({ type: 'text', text: words });
export const toolUse = (id: string, name: string, input: object = {}) => ({
  type: 'tool_use',
  id,
  name,
  input,
});

export type LineOptions = {
  session: string;
  /** Milliseconds since 1970 of the line before the first. */
  startMs?: number;
  cwd?: string;
  /** Fields of every line. */
  more?: Line;
};

/** Makes the lines of one file: each comes one second after the one before, and hangs on it. */
export class ClaudeLines {
  readonly lines: Line[] = [];
  readonly #options: LineOptions;
  #prompt: string | undefined;

  constructor(options: LineOptions) {
    this.#options = options;
  }

  get atMs(): number {
    return (this.#options.startMs ?? 1_790_000_000_000) + this.lines.length * 1_000;
  }

  line(type: string, fields: Line): Line {
    const { session, cwd = '/home/dev/shop', more = {} } = this.#options;
    const number = this.lines.length;
    const line = {
      type,
      uuid: `${session}-${number}`,
      parentUuid: number === 0 ? null : `${session}-${number - 1}`,
      sessionId: session,
      timestamp: new Date(this.atMs + 1_000).toISOString(),
      cwd,
      gitBranch: 'main',
      version: '2.1.330',
      ...more,
      ...fields,
    };
    this.lines.push(line);
    return line;
  }

  user(content: unknown, fields: Line = {}): Line {
    const prompt = this.#prompt === undefined ? {} : { promptId: this.#prompt };
    return this.line('user', { ...prompt, message: { role: 'user', content }, ...fields });
  }

  prompt(words: string, promptId: string): Line {
    this.#prompt = promptId;
    return this.user(words);
  }

  result(id: string, content: string, isError = false, told?: unknown): Line {
    const block = { type: 'tool_result', tool_use_id: id, content, is_error: isError };
    return this.user([block], { toolUseResult: told ?? content });
  }

  /** One of the lines of a message. `message` goes over what is usual. */
  assistant(id: string, content: unknown[], message: Line = {}, fields: Line = {}): Line {
    return this.line('assistant', {
      requestId: `req-${id}`,
      message: {
        id,
        type: 'message',
        role: 'assistant',
        model: 'claude-opus-4-6',
        content,
        stop_reason: null,
        usage: usage(),
        ...message,
      },
      ...fields,
    });
  }

  turnDuration(durationMs: number): Line {
    return this.line('system', { subtype: 'turn_duration', durationMs });
  }

  toString(): string {
    return this.lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  }
}

/** The tokens of a message; what is written to the cache is kept for five minutes, and `write1h` for one hour. */
export function usage({ input = 3, output = 1, read = 100, write5m = 0, write1h = 0 } = {}) {
  return {
    input_tokens: input,
    output_tokens: output,
    cache_read_input_tokens: read,
    cache_creation_input_tokens: write5m + write1h,
    cache_creation: { ephemeral_5m_input_tokens: write5m, ephemeral_1h_input_tokens: write1h },
  };
}
