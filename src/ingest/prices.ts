import { isObject, objectOf } from '../core/values.js';
import { readTextFile, whyUnreadable } from '../core/folders.js';
import { ConsoleError } from '../db/errors.js';
import type { Usage } from './events.js';
import type { CallRow } from './rows.js';
import { toMicros } from './settle.js';

/** US dollars for a million tokens of one model, as a user sets them for a gateway. */
type OwnPrice = {
  input: number;
  output: number;
  cacheRead?: number;
  cacheWrite?: number;
  cacheWrite1h?: number;
};

/** What a call cost, as it is kept in `context.cost`. */
export type Cost = { usd: number; source: 'reported' | 'computed' | 'own'; table?: string };

/** What a price is found from. */
export type PricedCall = {
  model: string | undefined;
  provider: string;
  usage: Usage | undefined;
  /** Milliseconds since 1970: prices change. */
  at: number;
};

/** What a stored call cost: as the program reported it, else by a price. */
export async function costOf(
  {
    context,
    service_name: provider,
    started_at: at,
  }: Pick<CallRow, 'context' | 'service_name' | 'started_at'>,
  prices: Prices | undefined,
): Promise<Cost | undefined> {
  const reported = context.reported_cost_usd;
  if (typeof reported === 'number') return { usd: reported, source: 'reported' };
  return prices?.costOf({
    model: typeof context.model === 'string' ? context.model : undefined,
    provider,
    usage: usageOf(context.usage),
    at,
  });
}

/** What others than the recorder wrote under this name counts only when it has all its figures. */
function usageOf(value: unknown): Usage | undefined {
  const usage = objectOf(value);
  const isWhole = (
    ['input', 'output', 'cacheRead', 'cacheCreation', 'cacheCreation1h'] as const
  ).every((kind) => Number.isFinite(usage[kind]));
  return isWhole ? (usage as Usage) : undefined;
}

type PriceTable = typeof import('@pydantic/genai-prices');

/**
 * What model calls cost, by date and model. The table of prices is loaded when it is first needed: it holds
 * half a megabyte.
 */
export class Prices {
  readonly #own: ReadonlyMap<string, OwnPrice>;
  #table: Promise<PriceTable> | undefined;
  /** Dollars a million tokens of each kind, by model and day (UTC): looking for a model takes long. */
  readonly #rates = new Map<string, readonly number[]>();

  constructor(own: ReadonlyMap<string, OwnPrice> = new Map()) {
    this.#own = own;
  }

  /**
   * Prices with those of a file before the table's: `{"MODEL": {"input": 3, "output": 15, "cacheRead": 0.3,
   * "cacheWrite": 3.75, "cacheWrite1h": 6}}`, US dollars a million tokens.
   *
   * @throws ConsoleError `usage`
   */
  static fromFile(file: string): Prices {
    const unreadable = (cause?: unknown) =>
      new ConsoleError('usage', `The prices in ${file} cannot be read${whyUnreadable(cause)}.`, {
        hint: 'It is JSON: {"MODEL": {"input": 3, "output": 15}}, US dollars a million tokens.',
        cause,
      });
    let parsed: unknown;
    try {
      parsed = JSON.parse(readTextFile(file));
    } catch (cause) {
      throw unreadable(cause);
    }
    if (!isObject(parsed)) throw unreadable();
    const own = new Map<string, OwnPrice>();
    for (const [model, price] of Object.entries(parsed))
      own.set(model, ownPrice(model, price, file));
    return new Prices(own);
  }

  /** Undefined: the call tells no tokens, or no price of its model is known. */
  async costOf({ model, provider, usage, at }: PricedCall): Promise<Cost | undefined> {
    if (usage === undefined || model === undefined) return undefined;
    const own = this.#own.get(model);
    return own ? ownCost(own, usage) : this.#computed(model, provider, usage, at);
  }

  async #computed(
    model: string,
    provider: string,
    usage: Usage,
    at: number,
  ): Promise<Cost | undefined> {
    this.#table ??= import('@pydantic/genai-prices');
    const { calcPrice } = await this.#table;
    const day = Math.floor(at / 86_400_000);
    const key = `${provider}\0${model}\0${day}`;
    const known = this.#rates.get(key);
    if (known !== undefined) return computed(usdOf(known, usage));
    const timestamp = new Date(at);
    const priceOf = (each: Usage) => {
      const tokens = tokensOf(each);
      return (
        calcPrice(tokens, model, { providerId: provider, timestamp }) ??
        calcPrice(tokens, model, { timestamp })
      );
    };
    const price = priceOf(usage);
    if (!price) return undefined;
    const { prices } = price.model;
    const isOfDay =
      !Array.isArray(prices) ||
      prices.every(({ constraint }) => constraint?.type !== 'time_of_date');
    const isFlat = Object.values(price.model_price).every((each) => typeof each !== 'object');
    if (isOfDay && isFlat && this.#rates.size < 10_000) {
      const rates = kinds.map((kind) => priceOf(millionOf(kind))?.total_price ?? 0);
      // A price a call, or whatever else there may be, is not the tokens' alone.
      if (Math.abs(usdOf(rates, usage) - price.total_price) < 1e-9) this.#rates.set(key, rates);
    }
    return computed(price.total_price);
  }
}

const computed = (usd: number): Cost => ({
  usd: toMicros(usd),
  source: 'computed',
  table: priceTable,
});

/** Each million of tokens has a price of its own. */
const kinds = ['input', 'output', 'cacheRead', 'write5m', 'write1h'] as const;

function millionOf(kind: (typeof kinds)[number]): Usage {
  const million = (...of: readonly string[]) => (of.includes(kind) ? 1e6 : 0);
  return {
    input: million('input'),
    output: million('output'),
    cacheRead: million('cacheRead'),
    cacheCreation: million('write5m', 'write1h'),
    cacheCreation1h: million('write1h'),
  };
}

function usdOf(rates: readonly number[], usage: Usage): number {
  const tokens = [
    usage.input,
    usage.output,
    usage.cacheRead,
    usage.cacheCreation - usage.cacheCreation1h,
    usage.cacheCreation1h,
  ];
  return tokens.reduce((usd, count, index) => usd + (count * (rates[index] ?? 0)) / 1e6, 0);
}

/** Tokens in the way of the price table, whose input includes uncached, cached and written tokens. */
const tokensOf = (usage: Usage) => ({
  input_tokens: usage.input + usage.cacheRead + usage.cacheCreation,
  output_tokens: usage.output,
  cache_read_tokens: usage.cacheRead,
  cache_write_tokens: usage.cacheCreation,
  cache_write_1h_tokens: usage.cacheCreation1h,
});

function ownPrice(model: string, value: unknown, file: string): OwnPrice {
  const price = objectOf(value);
  const dollars = (name: keyof OwnPrice): number | undefined => {
    const given = price[name];
    if (given === undefined) return undefined;
    if (typeof given === 'number' && Number.isFinite(given) && given >= 0) return given;
    throw new ConsoleError('usage', `"${name}" of "${model}" in ${file} is no price.`, {
      hint: 'Prices are numbers: US dollars a million tokens.',
    });
  };
  const [input, output] = [dollars('input'), dollars('output')];
  if (input === undefined || output === undefined) {
    throw new ConsoleError('usage', `The price of "${model}" in ${file} lacks input or output.`, {
      hint: 'Both are numbers: US dollars a million tokens.',
    });
  }
  const [cacheRead, cacheWrite, cacheWrite1h] = [
    dollars('cacheRead'),
    dollars('cacheWrite'),
    dollars('cacheWrite1h'),
  ];
  return {
    input,
    output,
    ...(cacheRead === undefined ? {} : { cacheRead }),
    ...(cacheWrite === undefined ? {} : { cacheWrite }),
    ...(cacheWrite1h === undefined ? {} : { cacheWrite1h }),
  };
}

/** The package and its version; a test compares it with the one that is installed. */
export const priceTable = 'genai-prices@0.1.8';

function ownCost(price: OwnPrice, usage: Usage): Cost {
  const write = price.cacheWrite ?? price.input;
  const usd =
    (usage.input * price.input +
      usage.output * price.output +
      usage.cacheRead * (price.cacheRead ?? price.input) +
      (usage.cacheCreation - usage.cacheCreation1h) * write +
      usage.cacheCreation1h * (price.cacheWrite1h ?? write)) /
    1e6;
  return { usd: toMicros(usd), source: 'own', table: 'own prices' };
}

/** Tokens that fit a model's context, from the table of prices; undefined: not known. */
export async function contextWindowOf(model: string): Promise<number | undefined> {
  const known = contextWindows.get(model);
  if (known !== undefined || contextWindows.has(model)) return known;
  const { calcPrice } = await import('@pydantic/genai-prices');
  const window = calcPrice({ input_tokens: 1 }, model)?.model.context_window;
  // Bounded, because names come from outside.
  if (contextWindows.size >= 1_000) contextWindows.clear();
  contextWindows.set(model, window);
  return window;
}

const contextWindows = new Map<string, number | undefined>();
