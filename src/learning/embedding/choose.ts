import { setTimeout as sleep } from 'node:timers/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { firstOf, readNumber } from '../../core/values.js';
import { ConsoleError } from '../../db/errors.js';
import { formatDuration } from '../../core/format/time.js';
import {
  type Embedder,
  embeddingDimensions,
  EndpointRefusal,
  fitted,
  hashEmbedder,
} from './embedder.js';

type EndpointOptions = {
  /** `https://host/v1`; `/embeddings` is added where it is missing. */
  url: string;
  model: string;
  key?: string | undefined;
  /** Milliseconds before the first retry; doubled each time. Default 500. */
  firstPauseMs?: number;
  /** Somebody waits for the answer: it is asked for twice at most, and given up after ten seconds each time. */
  isBrief?: boolean | undefined;
  /** Hears why it waits, and how long, before it asks again. */
  waits?: ((line: string) => void) | undefined;
};

const textsPerRequest = 96;
/** Characters a text: under the 8,192 tokens of usual models. */
const longestText = 8_000;
const patient = { attempts: 6, timeoutMs: 60_000, longestPauseMs: 60_000 };
const brief = { attempts: 2, timeoutMs: 10_000, longestPauseMs: 2_000 };
/** A server that asks for more is asked again after a year. */
const longestAskedMs = 365 * 86_400_000;
/** Bytes of an answer: 96 vectors of 1536 numbers are about 3 MB. */
const longestAnswer = 32 * 1024 * 1024;

type Answer = { data: { index: number; embedding: number[] }[]; usage: { tokens: number } };

/** An endpoint that speaks OpenAI's `/embeddings`: OpenAI, Azure, vLLM, Ollama, LM Studio, LiteLLM, … */
export function endpointEmbedder(options: EndpointOptions): Embedder {
  const { model } = options;
  let dimensions: number | undefined;
  const used = { texts: 0, tokens: 0, costUsd: 0 as number | null };
  // Not every model can be asked for a number of dimensions; one that refuses is asked without.
  let asksDimensions = true;
  const request = async (texts: readonly string[], signal: AbortSignal | undefined) => {
    try {
      return await post(options, texts, asksDimensions, signal);
    } catch (error) {
      const isRefused = error instanceof EndpointRefusal && /dimension/i.test(error.body);
      if (!asksDimensions || !isRefused) throw translated(error, options, signal);
      asksDimensions = false;
    }
    return await post(options, texts, false, signal).catch((error: unknown) => {
      throw translated(error, options, signal);
    });
  };
  return {
    model,
    async embed(texts, signal) {
      const vectors: Float32Array[] = [];
      for (let from = 0; from < texts.length; from += textsPerRequest) {
        // An empty text is an error to most endpoints.
        const part = texts
          .slice(from, from + textsPerRequest)
          .map((text) => firstOf(text, longestText).toWellFormed() || '-');
        const { data, usage } = await request(part, signal);
        checkAnswer(data, part.length, options);
        const [first] = data;
        dimensions ??= first?.embedding.length;
        if (data.some(({ embedding }) => embedding.length !== dimensions)) {
          throw new ConsoleError(
            'query_failed',
            `${hostOf(options.url)} gave vectors of different lengths; such cannot be compared.`,
          );
        }
        vectors.push(
          ...data
            .toSorted((one, other) => one.index - other.index)
            .map(({ embedding }) => fitted(embedding, model)),
        );
        used.texts += part.length;
        used.tokens += usage.tokens;
        used.costUsd = sum(used.costUsd, await priceOf(options, usage.tokens));
      }
      return vectors;
    },
    usage: () => ({ ...used }),
  };
}

/** One vector a text, each by its place. */
function checkAnswer(data: Answer['data'], texts: number, { url }: EndpointOptions): void {
  const places = new Set(data.map(({ index }) => index));
  const isWhole =
    data.length === texts &&
    Array.from({ length: texts }, (_, at) => at).every((at) => places.has(at));
  if (isWhole) return;
  throw new ConsoleError(
    'query_failed',
    `${hostOf(url)} gave ${data.length} embeddings for ${texts} texts, or some twice.`,
  );
}

/** Too many requests and a server's own failures are tried again, as late as the server says. */
async function post(
  { url, model, key, firstPauseMs = 500, isBrief = false, waits }: EndpointOptions,
  input: readonly string[],
  asksDimensions: boolean,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const body = JSON.stringify({
    model,
    input,
    encoding_format: 'float',
    ...(asksDimensions ? { dimensions: embeddingDimensions } : {}),
  });
  const { attempts, timeoutMs, longestPauseMs } = isBrief ? brief : patient;
  for (let attempt = 1; ; attempt += 1) {
    const limit = AbortSignal.timeout(timeoutMs);
    const either = signal ? AbortSignal.any([signal, limit]) : limit;
    const outcome = await send(url, key, body, either).catch((error: unknown) => {
      if (signal?.aborted || attempt >= attempts || error instanceof ConsoleError) throw error;
      return { status: 0, text: '', retryAfter: null };
    });
    const { status, text, retryAfter } = outcome;
    if (status >= 200 && status < 300) return readAnswer(text);
    const mayRetry = status === 0 || status === 429 || status >= 500;
    const told = toldPauseMs(retryAfter);
    // Asked again sooner than it says it would only refuse again.
    if (!mayRetry || attempt >= attempts || told > longestPauseMs) {
      throw new EndpointRefusal(status, text.slice(0, 1_000), told);
    }
    const pause = Math.min(told > 0 ? told : firstPauseMs * 2 ** (attempt - 1), longestPauseMs);
    const why = status === 0 ? 'did not answer' : `answered ${status}`;
    waits?.(`${hostOf(url)} ${why}: asked again in ${formatDuration(pause)}`);
    await sleep(pause, undefined, signal ? { signal } : {});
  }
}

function toldPauseMs(retryAfter: string | null): number {
  if (retryAfter === null) return 0;
  const seconds = readNumber(retryAfter);
  const ms = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(retryAfter) - Date.now();
  return Math.min(Math.max(0, ms || 0), longestAskedMs);
}

async function send(url: string, key: string | undefined, body: string, signal: AbortSignal) {
  const response = await fetch(
    /\/embeddings\/?(?:\?|$)/.test(url) ? url : `${url.replace(/\/+$/, '')}/embeddings`,
    {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      },
      body,
      // A redirect would carry prompts and key elsewhere.
      redirect: 'error',
      signal,
    },
  );
  return {
    status: response.status,
    text: await boundedBody(response),
    retryAfter: response.headers.get('retry-after'),
  };
}

async function boundedBody({ body, url }: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of (body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += part.byteLength;
    if (bytes > longestAnswer) {
      throw new ConsoleError('query_failed', `The answer of ${hostOf(url)} is over 32 MB.`, {
        hint: 'Is it the base of an embeddings API, as https://host/v1?',
      });
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function readAnswer(text: string): Answer {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = undefined;
  }
  const { data, usage } = (answer ?? {}) as { data?: unknown; usage?: { prompt_tokens?: unknown } };
  if (!Array.isArray(data) || !data.every(isEmbedding)) {
    const message = 'The embedding endpoint gave something else than embeddings.';
    throw new ConsoleError('query_failed', message);
  }
  const tokens = usage?.prompt_tokens;
  return { data, usage: { tokens: typeof tokens === 'number' ? tokens : 0 } };
}

function isEmbedding(value: unknown): value is { index: number; embedding: number[] } {
  const { index, embedding } = (value ?? {}) as { index?: unknown; embedding?: unknown };
  return (
    typeof index === 'number' &&
    Array.isArray(embedding) &&
    embedding.every((number) => typeof number === 'number')
  );
}

function translated(
  error: unknown,
  { url, model }: EndpointOptions,
  signal: AbortSignal | undefined,
): unknown {
  if (error instanceof ConsoleError) return error;
  if (signal?.aborted) {
    return new ConsoleError('interrupted', 'Interrupted while prompts were embedded.', {
      hint: 'What was learned stays; the next "trace-console learn" goes on from there.',
    });
  }
  if (!(error instanceof EndpointRefusal)) {
    return new ConsoleError(
      'connection_lost',
      `No answer from the embedding endpoint ${hostOf(url)}.`,
      {
        cause: error,
        hint: 'Check the URL of --embedding; "--embedding hash" needs no endpoint.',
      },
    );
  }
  const { status, askedMs } = error;
  const until = new Date(Date.now() + askedMs).toISOString().slice(0, 16).replace('T', ' ');
  const wait =
    askedMs > 0 ? ` and asks to wait ${formatDuration(askedMs)}, until ${until} UTC` : '';
  return new ConsoleError(
    status === 429 || status >= 500 ? 'connection_lost' : 'query_failed',
    `The embedding endpoint ${hostOf(url)} answered ${status}${wait}.`,
    { hint: hintFor(status, model), cause: error },
  );
}

const again = 'Try again later; what was learned stays.';
function hintFor(status: number, model: string): string {
  if (status === 401 || status === 403) return 'Set TRACE_CONSOLE_EMBEDDING_KEY.';
  if (status === 429) return `It asks for fewer requests, or the quota is used up. ${again}`;
  if (status >= 500) return `It failed by itself. ${again}`;
  return `Is "${model}" a model of it, and the URL the base of its API, as https://host/v1?`;
}

/** Without what may be secret. */
function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return 'that was given';
  }
}

function sum(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : one + other;
}

/** US dollars; null where the price is not known. */
async function priceOf({ url, model }: EndpointOptions, tokens: number): Promise<number | null> {
  const { calcPrice } = await import('@pydantic/genai-prices');
  const usage = { input_tokens: tokens };
  // A gateway has an address of its own, but the names and mostly the prices of OpenAI's models.
  const price =
    calcPrice(usage, model, { providerApiUrl: url }) ??
    calcPrice(usage, model, { providerId: 'openai' });
  return price?.total_price ?? null;
}

type EmbeddingChoice = {
  /** `hash`, the URL of an endpoint, or `local:FOLDER`; default TRACE_CONSOLE_EMBEDDING, else `hash`. */
  embedding?: string | undefined;
  /** The endpoint's model; default TRACE_CONSOLE_EMBEDDING_MODEL. */
  model?: string | undefined;
  isBrief?: boolean | undefined;
  waits?: ((line: string) => void) | undefined;
};

/**
 * The embedder that was chosen, by flags or by the environment. Never by the database: whoever can write there could
 * have prompts and key sent anywhere.
 *
 * @throws ConsoleError `usage`
 */
export function chooseEmbedder(
  choice: EmbeddingChoice = {},
  environment: NodeJS.ProcessEnv = process.env,
): Embedder {
  const embedding = choice.embedding ?? environment.TRACE_CONSOLE_EMBEDDING ?? 'hash';
  if (embedding === 'hash' || embedding === '') return hashEmbedder();
  if (/^local:./.test(embedding)) return localEmbedder(embedding.slice('local:'.length));
  if (!/^https?:\/\//.test(embedding) || !URL.canParse(embedding)) {
    throw new ConsoleError('usage', `There is no embedding "${embedding}".`, {
      hint: 'Give hash, the URL of an OpenAI-compatible endpoint, or local:FOLDER.',
    });
  }
  if (/^https?:\/\/[^/?#]*@/.test(embedding)) {
    throw new ConsoleError('usage', 'A URL of an endpoint holds no user and no password.', {
      hint: 'Set TRACE_CONSOLE_EMBEDDING_KEY.',
    });
  }
  const model = choice.model ?? environment.TRACE_CONSOLE_EMBEDDING_MODEL;
  if (model === undefined || model === '') {
    throw new ConsoleError('usage', 'Which model of the embedding endpoint?', {
      hint: 'Give --embedding-model or TRACE_CONSOLE_EMBEDDING_MODEL, as text-embedding-3-small.',
    });
  }
  const key = environment.TRACE_CONSOLE_EMBEDDING_KEY;
  return endpointEmbedder({ ...choice, url: embedding, model, key });
}

/** What is used of `@huggingface/transformers`. */
type Transformers = {
  env: { allowRemoteModels: boolean; localModelPath: string };
  pipeline: (
    task: 'feature-extraction',
    model: string,
  ) => Promise<
    (
      texts: string[],
      options: { pooling: 'mean'; normalize: true },
    ) => Promise<{
      tolist: () => number[][];
    }>
  >;
};

const packageName = '@huggingface/transformers';
const textsAtOnce = 16;

/**
 * A model in a folder of this machine, run by `@huggingface/transformers` where the user has installed it: beside
 * this program, or in the project of the working folder. Nothing is downloaded.
 *
 * @param folder of the model, with its `onnx/` and `tokenizer.json`
 * @param load finds the package; only tests give another
 */
export function localEmbedder(
  folder: string,
  load: () => Promise<unknown> = findTransformers,
): Embedder {
  const whole = path.resolve(folder);
  const model = `local:${path.basename(whole)}`;
  let count = 0;
  let opened: ReturnType<Transformers['pipeline']> | undefined;
  const open = async () => {
    const { env, pipeline } = (await load()) as Transformers;
    env.allowRemoteModels = false;
    env.localModelPath = path.dirname(whole);
    return pipeline('feature-extraction', path.basename(whole));
  };
  return {
    model,
    async embed(texts) {
      opened ??= open();
      const extract = await opened.catch((error: unknown) => {
        opened = undefined;
        if (error instanceof ConsoleError) throw error;
        throw new ConsoleError('file_failed', `There is no usable model in ${whole}.`, {
          hint: 'The folder holds tokenizer.json, config.json and onnx/model.onnx.',
          cause: error,
        });
      });
      const vectors: Float32Array[] = [];
      for (let from = 0; from < texts.length; from += textsAtOnce) {
        const part = texts.slice(from, from + textsAtOnce);
        const output = await extract([...part], { pooling: 'mean', normalize: true });
        vectors.push(...output.tolist().map((values) => fitted(values, model)));
      }
      count += texts.length;
      return vectors;
    },
    usage: () => ({ texts: count, tokens: 0, costUsd: 0 }),
  };
}

async function findTransformers(): Promise<unknown> {
  // By a variable: the bundler leaves it alone, and it need not be installed to build.
  const name: string = packageName;
  try {
    return await import(name);
  } catch {
    // Not beside this program; then where the user works.
  }
  try {
    const required = createRequire(path.join(process.cwd(), 'package.json')).resolve(name);
    return await import(pathToFileURL(required).href);
  } catch (error) {
    throw new ConsoleError('usage', `A local model needs the package ${packageName}.`, {
      hint: `npm install ${packageName} in this folder, or use --embedding hash.`,
      cause: error,
    });
  }
}
