import { slashCommand, type AgentEvent, type ModelCalled, type Usage } from './events.js';
import type { PricedCall, Prices } from './prices.js';

/** What was read. Of a file that was read before only what has come since. */
export type ImportCounts = {
  files: number;
  sessions: number;
  prompts: number;
  modelCalls: number;
  toolCalls: number;
  failedToolCalls: number;
  subagents: number;
  tokens: { input: number; output: number; cacheRead: number; cacheCreation: number };
  /** US dollars of the calls whose price is known. */
  costUsd: number;
  /** Models of calls without a price or without tokens, in alphabetical order. */
  unpriced: string[];
  skippedLines: number;
};

/** What of a file was counted, and may be told of again when the file has grown; kept with how far it was read. */
export type Counted = {
  /** Uses of tools that have not ended, and subagents: session and id. */
  tools?: string[];
  subagents?: string[];
  /** The last call: more of it may come. */
  call?: ModelCalled;
};

/** Of one file no more is kept. */
const mostKept = 200;

/** Notes what is counted of one file. */
export class CountedOfFile {
  readonly #tools: Set<string>;
  readonly #subagents: Set<string>;
  #call: ModelCalled | undefined;

  constructor({ tools = [], subagents = [], call }: Counted = {}) {
    this.#tools = new Set(tools);
    this.#subagents = new Set(subagents);
    this.#call = call;
  }

  get counted(): Counted {
    return {
      tools: [...this.#tools].slice(-mostKept),
      subagents: [...this.#subagents].slice(-mostKept),
      ...(this.#call === undefined ? {} : { call: this.#call }),
    };
  }

  note(event: AgentEvent): void {
    switch (event.kind) {
      case 'tool_started':
        this.#tools.add(keyOf(event.session, event.toolUse));
        break;
      case 'tool_ended':
        this.#tools.delete(keyOf(event.session, event.toolUse));
        break;
      case 'subagent_started':
      case 'subagent_ended':
        this.#subagents.add(keyOf(event.session, event.id));
        break;
      case 'model_call':
        this.#call = joined(this.#call, event);
        break;
      default:
    }
  }
}

const keyOf = (session: string, id: string): string => `${session} ${id}`;

/** What is counted of a call after another of its events. */
function joined(known: ModelCalled | undefined, event: ModelCalled): ModelCalled {
  const { kind, source, agent, session, message, provider } = event;
  const before = known?.session === session && known.message === message ? known : undefined;
  const usage: Partial<Usage> = { ...before?.usage };
  for (const each of kinds)
    if (event.usage) usage[each] = larger(usage[each], event.usage[each] ?? 0);
  return {
    ...{ kind, source, agent, session, message, provider },
    at: smaller(before?.at, event.at),
    model: before?.model ?? event.model,
    costUsd: before?.costUsd ?? event.costUsd,
    usage: event.usage === undefined ? before?.usage : usage,
  };
}

const kinds = ['input', 'output', 'cacheRead', 'cacheCreation', 'cacheCreation1h'] as const;

/**
 * Counts happenings, not events: one call or one use of a tool is told by several lines, and by several files of a
 * session. What is one row in the database is counted once.
 */
export class ImportCounter {
  readonly counts: ImportCounts = {
    files: 0,
    sessions: 0,
    prompts: 0,
    modelCalls: 0,
    toolCalls: 0,
    failedToolCalls: 0,
    subagents: 0,
    tokens: { input: 0, output: 0, cacheRead: 0, cacheCreation: 0 },
    costUsd: 0,
    unpriced: [],
    skippedLines: 0,
  };
  readonly #prices: Prices | undefined;
  readonly #sessions = new Set<string>();
  readonly #prompts = new Ids();
  readonly #subagents = new Ids();
  readonly #tools = new Ids();
  readonly #failedTools = new Ids();
  readonly #calls = new Calls();
  /** Counted by earlier runs. */
  readonly #before = new Set<string>();
  readonly #callsBefore = new Map<string, ModelCalled>();
  /** Calls of earlier runs of which more has come: that alone is counted. */
  readonly #grown = new Calls();

  /** @param before what earlier runs have counted of the same files */
  constructor(prices: Prices | undefined, before: Iterable<Counted> = []) {
    this.#prices = prices;
    for (const { tools = [], subagents = [], call } of before) {
      for (const key of [...tools, ...subagents]) this.#before.add(key);
      if (call) this.#callsBefore.set(keyOf(call.session, call.message), call);
    }
  }

  count(event: AgentEvent): void {
    const { session } = event;
    this.#sessions.add(session);
    switch (event.kind) {
      case 'prompt':
        if (event.origin !== slashCommand)
          this.#prompts.add(session, event.turn ?? String(event.at));
        break;
      case 'model_call':
        this.#countCall(event);
        break;
      case 'tool_started':
      case 'tool_ended':
        this.#countOnce(this.#tools, session, event.toolUse);
        if (event.kind === 'tool_ended' && event.error !== undefined)
          this.#failedTools.add(session, event.toolUse);
        break;
      case 'subagent_started':
      case 'subagent_ended':
        this.#countOnce(this.#subagents, session, event.id);
        break;
      default:
    }
  }

  #countOnce(ids: Ids, session: string, id: string): void {
    if (this.#before.size === 0 || !this.#before.has(keyOf(session, id))) ids.add(session, id);
  }

  #countCall(event: ModelCalled): void {
    if (this.#callsBefore.size > 0) {
      const before = this.#callsBefore.get(keyOf(event.session, event.message));
      if (before) {
        this.#grown.add(before);
        this.#calls.add(before);
      }
    }
    this.#calls.add(event);
  }

  /** All counts; costs are found from the tokens of whole calls. */
  async finish(): Promise<ImportCounts> {
    const { tokens } = this.counts;
    const unpriced = new Set<string>();
    let costUsd = 0;
    for (const [calls, sign] of [
      [this.#calls, 1],
      [this.#grown, -1],
    ] as const) {
      for (const call of calls.all()) {
        tokens.input += sign * (call.usage?.input ?? 0);
        tokens.output += sign * (call.usage?.output ?? 0);
        tokens.cacheRead += sign * (call.usage?.cacheRead ?? 0);
        tokens.cacheCreation += sign * (call.usage?.cacheCreation ?? 0);
        const usd = call.costUsd ?? (await this.#prices?.costOf(call))?.usd;
        if (usd !== undefined) costUsd += sign * usd;
        else if (sign === 1) unpriced.add(call.model ?? 'unknown');
      }
    }
    return {
      ...this.counts,
      sessions: this.#sessions.size,
      prompts: this.#prompts.size,
      modelCalls: this.#calls.size - this.#grown.size,
      toolCalls: this.#tools.size,
      failedToolCalls: this.#failedTools.size,
      subagents: this.#subagents.size,
      costUsd: Math.round(costUsd * 1e6) / 1e6,
      unpriced: this.#prices ? [...unpriced].toSorted() : [],
    };
  }
}

/**
 * Which ids of sessions were seen, as 64 bits of a hash each: as texts in sets they would take ten times the memory, and
 * they are kept until the end. Two of a million are taken for one in one of thirty million imports.
 */
class Ids {
  size = 0;
  /** Hashes in the order in which they came, two numbers each. */
  #hashes = new Uint32Array(256);
  /** Places by hash, with free ones behind them; 0: free, else one more than the number of the id. */
  #places = new Int32Array(256);

  /** @returns its number, counted from 0 in the order in which ids came */
  add(session: string, id: string): number {
    const [high, low] = hashOf(session, id);
    const mask = this.#places.length - 1;
    for (let place = low & mask; ; place = (place + 1) & mask) {
      const number = (this.#places[place] ?? 0) - 1;
      if (number < 0) return this.#append(place, high, low);
      if (this.#hashes[number * 2] === high && this.#hashes[number * 2 + 1] === low) return number;
    }
  }

  #append(place: number, high: number, low: number): number {
    const number = this.size;
    this.size += 1;
    this.#hashes = withRoom(this.#hashes, number * 2 + 2);
    this.#hashes.set([high, low], number * 2);
    this.#places[place] = this.size;
    if (this.size * 2 > this.#places.length) this.#spread();
    return number;
  }

  #spread(): void {
    this.#places = new Int32Array(this.#places.length * 2);
    const mask = this.#places.length - 1;
    for (let number = 0; number < this.size; number += 1) {
      let place = (this.#hashes[number * 2 + 1] ?? 0) & mask;
      while (this.#places[place] !== 0) place = (place + 1) & mask;
      this.#places[place] = number + 1;
    }
  }
}

/** Two 32-bit hashes (cyrb53) of both texts, each of which ends where the other begins. */
function hashOf(session: string, id: string): [high: number, low: number] {
  let [one, other] = [0xdeadbeef ^ session.length, 0x41c6ce57 ^ id.length];
  for (const text of [session, id]) {
    for (let index = 0; index < text.length; index += 1) {
      const unit = text.charCodeAt(index);
      one = Math.imul(one ^ unit, 2_654_435_761);
      other = Math.imul(other ^ unit, 1_597_334_677);
    }
  }
  one =
    Math.imul(one ^ (one >>> 16), 2_246_822_507) ^ Math.imul(other ^ (other >>> 13), 3_266_489_909);
  other =
    Math.imul(other ^ (other >>> 16), 2_246_822_507) ^ Math.imul(one ^ (one >>> 13), 3_266_489_909);
  return [one >>> 0, other >>> 0];
}

/** The list, or a longer one with the same numbers. */
function withRoom<List extends Uint32Array | Float64Array>(list: List, length: number): List {
  if (length <= list.length) return list;
  const Longer = list.constructor as new (length: number) => List;
  const longer = new Longer(list.length * 2);
  longer.set(list);
  return longer;
}

/** A call's row: its figures by kind, when it was, its cost, and the number of its model. NaN: not told. */
const width = kinds.length + 3;
const [atField, costField, modelField] = [kinds.length, kinds.length + 1, kinds.length + 2];

/** Model calls, one row of numbers each. */
class Calls {
  readonly #ids = new Ids();
  #rows = new Float64Array(64 * width);
  /** Models with their providers, by name, and by number. */
  readonly #numbers = new Map<string, number>();
  readonly #models: { provider: string; model: string | undefined }[] = [];

  get size(): number {
    return this.#ids.size;
  }

  add({ session, message, model, provider, at, usage, costUsd }: ModelCalled): void {
    const known = this.#ids.size;
    const number = this.#ids.add(session, message);
    const row = number * width;
    if (number === known) {
      this.#rows = withRoom(this.#rows, row + width);
      this.#rows.fill(Number.NaN, row, row + width);
      this.#rows[row + modelField] = this.#numberOf(provider, model);
    }
    const rows = this.#rows;
    const told = this.#models[rows[row + modelField] ?? 0];
    if (told && told.model === undefined && model !== undefined)
      rows[row + modelField] = this.#numberOf(told.provider, model);
    rows[row + atField] = smaller(rows[row + atField], at);
    if (costUsd !== undefined && Number.isNaN(rows[row + costField]))
      rows[row + costField] = costUsd;
    if (usage === undefined) return;
    // One call's tokens stand on several lines: the largest figure of each kind is the final one.
    for (const [index, kind] of kinds.entries())
      rows[row + index] = larger(rows[row + index], usage[kind] ?? 0);
  }

  *all(): Generator<PricedCall & { costUsd: number | undefined }> {
    for (let row = 0; row < this.size * width; row += width) {
      const figure = (index: number): number | undefined => {
        const value = this.#rows[row + index];
        return value === undefined || Number.isNaN(value) ? undefined : value;
      };
      const [input, output, cacheRead, cacheCreation, cacheCreation1h] = kinds.map(
        (_, index) => figure(index) ?? 0,
      ) as [number, number, number, number, number];
      const usage: Usage = { input, output, cacheRead, cacheCreation, cacheCreation1h };
      const { provider = '', model } = this.#models[figure(modelField) ?? 0] ?? {};
      yield {
        ...{ model, provider, at: figure(atField) ?? 0, costUsd: figure(costField) },
        usage: figure(0) === undefined ? undefined : usage,
      };
    }
  }

  #numberOf(provider: string, model: string | undefined): number {
    const name = JSON.stringify([provider, model]);
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#numbers.set(name, this.#models.length);
    return this.#models.push({ provider, model }) - 1;
  }
}

/** The smaller of two numbers, or the other one where the first is NaN or undefined; `larger` alike. */
const smaller = (one: number | undefined, other: number): number =>
  one === undefined || Number.isNaN(one) || other < one ? other : one;

const larger = (one: number | undefined, other: number): number =>
  one === undefined || Number.isNaN(one) || other > one ? other : one;
