/** Rollout files of Codex, as its versions write them. */

export type Line = Record<string, unknown>;

/** UUIDs of version 7 hold their time. */
export function idAt(ms: number, tail = '000000000000'): string {
  const time = ms.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${tail}`;
}

export const startMs = 1_790_000_000_000;

/** The lines of one thread, each half a second after the one before. */
export class Rollout {
  readonly lines: Line[] = [];
  readonly id: string;
  #at: number;
  #calls = 0;
  #turn = '';

  constructor(meta: Line = {}, atMs = startMs) {
    this.#at = atMs;
    this.id = (meta.id as string | undefined) ?? idAt(atMs);
    this.push('session_meta', {
      id: this.id,
      timestamp: new Date(atMs).toISOString(),
      cwd: '/home/u/shop',
      originator: 'codex_cli_rs',
      cli_version: '0.150.0',
      source: 'cli',
      model_provider: 'openai',
      git: { branch: 'main', commit_hash: 'abc' },
      ...meta,
    });
  }

  get at(): number {
    return this.#at;
  }

  push(type: string, payload: Line): this {
    this.lines.push({ timestamp: new Date(this.#at).toISOString(), type, payload });
    this.#at += 500;
    return this;
  }

  message(type: string, fields: Line = {}): this {
    return this.push('event_msg', { type, ...fields });
  }

  item(type: string, fields: Line = {}): this {
    return this.push('response_item', { type, ...fields });
  }

  /** A turn begins as the program writes it: context in the user's name, the prompt twice. */
  turn(text: string): this {
    this.#turn = idAt(this.#at);
    const said = (words: string) => ({
      role: 'user',
      content: [{ type: 'input_text', text: words }],
    });
    return this.message('task_started', { turn_id: this.#turn, model_context_window: 272_000 })
      .push('turn_context', {
        turn_id: this.#turn,
        cwd: '/home/u/shop',
        model: 'gpt-5.5',
        approval_policy: 'on-request',
      })
      .item(
        'message',
        said('<environment_context>\n  <cwd>/home/u/shop</cwd>\n</environment_context>'),
      )
      .item('message', said(text))
      .message('user_message', { message: text, images: [] });
  }

  tool(
    name: string,
    input: Line,
    output: unknown,
    id = `call_${this.id}_${this.lines.length}`,
  ): this {
    return this.item('reasoning', { encrypted_content: '…' })
      .item('function_call', { name, arguments: JSON.stringify(input), call_id: id })
      .item('function_call_output', { call_id: id, output });
  }

  /** Tokens of a call: 1,000 of input with 600 from the cache, and 50 of output. */
  tokens(): this {
    this.#calls += 1;
    const total = this.#calls;
    const usage = (times: number) => ({
      input_tokens: 1_000 * times,
      cached_input_tokens: 600 * times,
      output_tokens: 50 * times,
      reasoning_output_tokens: 20 * times,
      total_tokens: 1_050 * times,
    });
    const info = { total_token_usage: usage(total), last_token_usage: usage(1) };
    // It is written again when the limits change.
    return this.message('token_count', { info, rate_limits: {} }).message('token_count', {
      info,
      rate_limits: { primary: 1 },
    });
  }

  answer(text = 'Done.'): this {
    return this.item('message', { role: 'assistant', content: [{ type: 'output_text', text }] })
      .message('agent_message', { message: text })
      .tokens()
      .message('task_complete', {
        turn_id: this.#turn,
        last_agent_message: text,
        duration_ms: 900,
      });
  }

  /** A thread that begins with a copy of this one, written at once. */
  fork(meta: Line = {}): Rollout {
    const atMs = this.#at + 60_000;
    const child = new Rollout({ id: idAt(atMs), ...meta }, atMs);
    for (const { type, payload } of this.lines) {
      const { at } = child;
      child.push(type as string, payload as Line);
      child.#at = at + 1;
    }
    child.#calls = this.#calls;
    child.#at = atMs + 5_000;
    return child;
  }

  get text(): string {
    return this.lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  }
}

/** A session with tools that end in different ways. */
export function session(meta: Line = {}): Rollout {
  return new Rollout(meta)
    .turn('Make the tests pass')
    .tool('exec_command', { cmd: 'npm test' }, exited(1, '2 failed'))
    .tokens()
    .tool('apply_patch', { patch: '…' }, 'apply_patch verification failed: no such file')
    .tokens()
    .tool('exec_command', { cmd: 'ls' }, exited(0, 'a.ts'))
    .answer()
    .turn('And now?')
    .answer('Nothing.');
}

export const exited = (code: number, output: string) =>
  `Chunk ID: 1a2b\nWall time: 0.2000 seconds\nProcess exited with code ${code}\nOutput:\n${output}`;
