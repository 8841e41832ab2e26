/**
 * Counts what stands in Claude Code's transcripts, by the description of their lines alone: it shares nothing with the
 * importer, so that the two can be compared.
 */

type Block = {
  type?: string;
  id?: string;
  tool_use_id?: string;
  is_error?: boolean;
  text?: string;
};

type Message = {
  id?: string;
  model?: string;
  content?: string | Block[];
  usage?: Record<string, number> & { cache_creation?: Record<string, number> };
};

type Line = Record<string, unknown> & {
  type?: string;
  uuid?: string;
  message?: Message;
  attachment?: { type?: string; commandMode?: string };
  toolUseResult?: { agentId?: string };
};

/** US dollars a million tokens: input, output, read from the cache, written for five minutes, for one hour. */
const prices: Readonly<Record<string, readonly [number, number, number, number, number]>> = {
  'claude-opus-4-6': [5, 25, 0.5, 6.25, 10],
  'claude-haiku-4-5': [1, 5, 0.1, 1.25, 2],
  'claude-sonnet-4': [3, 15, 0.3, 3.75, 6],
  'claude-3-sonnet-20240229': [3, 15, 0.3, 3.75, 6],
};

const notTyped =
  /^\s*(?:<(?:command-|local-command-|bash-|task-notification|system-reminder)|Caveat: |\[Request interrupted by user)/;

export type TranscriptCounts = {
  prompts: number;
  modelCalls: number;
  toolCalls: number;
  failedToolCalls: number;
  subagents: number;
  tokens: { input: number; output: number; cacheRead: number; cacheCreation: number };
  costUsd: number;
  unpriced: string[];
};

type Call = { model: string; tokens: number[] | undefined };

/**
 * Ids are those of a session: two sessions may use the same one. A line with a uuid that stood in another session is a copy.
 *
 * @param files contents by path; a subagent's file is named `SESSION/subagents/agent-ID.jsonl`
 */
export function countTranscripts(files: ReadonlyMap<string, string>): TranscriptCounts {
  const prompts = new Set<string>();
  const origins = new Map<string, string>();
  const calls = new Map<string, Call>();
  const tools = new Map<string, boolean>();
  const subagents = new Set<string>();
  for (const [path, content] of files) {
    const agent = /agent-([^/]*)\.jsonl$/.exec(path)?.[1];
    const isOwn = agent !== undefined && /^a(?:compact|prompt_suggestion)/.test(agent);
    const folder = /([^/]*)\/subagents\//.exec(path)?.[1];
    for (const line of linesOf(content)) {
      const session = folder ?? (typeof line.sessionId === 'string' ? line.sessionId : path);
      const uuid = line.uuid ?? `${path} ${JSON.stringify(line)}`;
      if (session !== (origins.get(uuid) ?? session)) continue;
      origins.set(uuid, session);
      const of = (id: string) => `${session} ${id}`;
      if (agent !== undefined && !isOwn) subagents.add(of(agent));
      const blocks = Array.isArray(line.message?.content) ? line.message.content : [];
      if (line.type === 'assistant') {
        countCall(calls, line, of);
        for (const { type, id } of blocks) {
          if (type === 'tool_use' && id !== undefined && !tools.has(of(id)))
            tools.set(of(id), false);
        }
      }
      if (isOwn) continue;
      for (const { type, tool_use_id: id, is_error: isError } of blocks) {
        if (type === 'tool_result' && id !== undefined)
          tools.set(of(id), isError === true || tools.get(of(id)) === true);
      }
      if (typeof line.toolUseResult?.agentId === 'string')
        subagents.add(of(line.toolUseResult.agentId));
      if (agent === undefined && line.isSidechain !== true && isPrompt(line, blocks))
        prompts.add(of(String(line.uuid)));
    }
  }
  return sums(prompts, calls, tools, subagents);
}

function* linesOf(content: string): Generator<Line> {
  for (const text of content.split('\n')) {
    try {
      const line = JSON.parse(text) as unknown;
      const isLine = typeof line === 'object' && line !== null && !Array.isArray(line);
      if (isLine && 'timestamp' in line) yield line;
    } catch {
      // A line that is not JSON holds nothing.
    }
  }
}

function isPrompt(line: Line, blocks: readonly Block[]): boolean {
  if (line.type === 'attachment') {
    const { type, commandMode } = line.attachment ?? {};
    return type === 'queued_command' && commandMode === 'prompt';
  }
  const content = line.message?.content;
  if (line.type !== 'user' || blocks.some(({ type }) => type === 'tool_result')) return false;
  if (line.isMeta === true || line.isCompactSummary === true) return false;
  const words =
    typeof content === 'string' ? content : blocks.map((block) => block.text ?? '').join('\n');
  return words.trim() !== '' && !notTyped.test(words);
}

function countCall(calls: Map<string, Call>, line: Line, of: (id: string) => string): void {
  const { id, model = 'unknown', usage } = line.message ?? {};
  if (model === '<synthetic>' || line.isApiErrorMessage === true) return;
  const key = of(id ?? String(line.uuid));
  const call = calls.get(key) ?? { model, tokens: undefined };
  calls.set(key, call);
  if (!usage) return;
  const hour = usage.cache_creation?.ephemeral_1h_input_tokens ?? 0;
  const told = [
    usage.input_tokens ?? 0,
    usage.output_tokens ?? 0,
    usage.cache_read_input_tokens ?? 0,
    (usage.cache_creation_input_tokens ?? 0) - hour,
    hour,
  ];
  call.tokens = told.map((tokens, index) => Math.max(tokens, call.tokens?.[index] ?? 0));
}

function sums(
  prompts: ReadonlySet<string>,
  calls: ReadonlyMap<string, Call>,
  tools: ReadonlyMap<string, boolean>,
  subagents: ReadonlySet<string>,
): TranscriptCounts {
  const total = [0, 0, 0, 0, 0];
  const unpriced = new Set<string>();
  let micros = 0;
  for (const { model, tokens } of calls.values()) {
    const price = prices[model];
    tokens?.forEach((count, index) => (total[index] = (total[index] ?? 0) + count));
    if (!price || !tokens) unpriced.add(model);
    else micros += tokens.reduce((sum, count, index) => sum + count * (price[index] ?? 0), 0);
  }
  const [input = 0, output = 0, cacheRead = 0, write5m = 0, write1h = 0] = total;
  return {
    prompts: prompts.size,
    modelCalls: calls.size,
    toolCalls: tools.size,
    failedToolCalls: [...tools.values()].filter(Boolean).length,
    subagents: subagents.size,
    tokens: { input, output, cacheRead, cacheCreation: write5m + write1h },
    costUsd: micros / 1e6,
    unpriced: [...unpriced].sort(),
  };
}
