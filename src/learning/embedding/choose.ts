import { setTimeout as sleep } from 'node:timers/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { readNumber } from '../../core/values.js';
import { ConsoleError } from '../../db/errors.js';
import { type Embedder, embeddingDimensions, fitted, hashEmbedder } from './embedder.js';

type EndpointOptions = {
  /** `https://host/v1`; `/embeddings` is added where it is missing. */
  url: string;
  model: string;
  key?: string | undefined;
  /** Milliseconds before the first retry; doubled each time. Default 500. */
  firstPauseMs?: number;
};

const textsPerRequest = 96;
/** Characters a text: under the 8,192 tokens of usual models. */
const longestText = 8_000;
const attempts = 6;
const longestPauseMs = 60_000;
const timeoutMs = 60_000;

type Answer = { data: { index: number; embedding: number[] }[]; usage: { tokens: number } };

/** An endpoint that speaks OpenAI's `/embeddings`: OpenAI, Azure, vLLM, Ollama, LM Studio, LiteLLM, … */
export function endpointEmbedder(options: EndpointOptions): Embedder {
  const { model } = options;
  const used = { texts: 0, tokens: 0, costUsd: 0 as number | null };
  // Not every model can be asked for a number of dimensions; one that refuses is asked without.
  let asksDimensions = true;
  const request = async (texts: readonly string[], signal: AbortSignal | undefined) => {
    try {
      return await post(options, texts, asksDimensions, signal);
    } catch (error) {
      const isRefused = error instanceof RefusedError && /dimension/i.test(error.body);
      if (!asksDimensions || !isRefused) throw translated(error, options);
      asksDimensions = false;
    }
    return await post(options, texts, false, signal).catch((error: unknown) => {
      throw translated(error, options);
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
          .map((text) => text.slice(0, longestText) || '-');
        const { data, usage } = await request(part, signal);
        if (data.length !== part.length) {
          throw new ConsoleError(
            'query_failed',
            `${hostOf(options.url)} gave ${data.length} embeddings for ${part.length} texts.`,
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

class RefusedError extends Error {
  readonly status: number;
  readonly body: string;

  constructor(status: number, body: string) {
    super(`HTTP ${status}`);
    this.status = status;
    this.body = body;
  }
}

/** Too many requests and a server's own failures are tried again, as late as the server says. */
async function post(
  { url, model, key, firstPauseMs = 500 }: EndpointOptions,
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
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await send(url, key, body, signal).catch((error: unknown) => {
      if (signal?.aborted || attempt >= attempts) throw error;
      return { status: 0, text: '', retryAfter: null };
    });
    const { status, text, retryAfter } = outcome;
    if (status >= 200 && status < 300) return readAnswer(text);
    const mayRetry = status === 0 || status === 429 || status >= 500;
    if (!mayRetry || attempt >= attempts) throw new RefusedError(status, text.slice(0, 1_000));
    const told = readNumber(retryAfter) * 1_000;
    const pause = told > 0 ? told : firstPauseMs * 2 ** (attempt - 1);
    await sleep(Math.min(pause, longestPauseMs), undefined, signal ? { signal } : {});
  }
}

async function send(
  url: string,
  key: string | undefined,
  body: string,
  signal: AbortSignal | undefined,
) {
  const limit = AbortSignal.timeout(timeoutMs);
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
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    },
  );
  return {
    status: response.status,
    text: await response.text(),
    retryAfter: response.headers.get('retry-after'),
  };
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
    throw new ConsoleError(
      'query_failed',
      'The embedding endpoint gave something else than embeddings.',
    );
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

function translated(error: unknown, { url, model }: EndpointOptions): unknown {
  if (error instanceof ConsoleError) return error;
  if (!(error instanceof RefusedError)) {
    return new ConsoleError(
      'connection_lost',
      `No answer from the embedding endpoint ${hostOf(url)}.`,
      {
        cause: error,
        hint: 'Check the URL of --embedding; "--embedding hash" needs no endpoint.',
      },
    );
  }
  const { status } = error;
  const hint =
    status === 401 || status === 403
      ? 'Set TRACE_CONSOLE_EMBEDDING_KEY.'
      : `Is "${model}" a model of it, and the URL the base of its API, as https://host/v1?`;
  return new ConsoleError(
    'query_failed',
    `The embedding endpoint ${hostOf(url)} answered ${status}.`,
    {
      hint,
      cause: error,
    },
  );
}

/** Without user, password and query, which may be secrets. */
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
  if (embedding.startsWith('local:')) return localEmbedder(embedding.slice('local:'.length));
  if (!/^https?:\/\//.test(embedding)) {
    throw new ConsoleError('usage', `There is no embedding "${embedding}".`, {
      hint: 'Give hash, the URL of an OpenAI-compatible endpoint, or local:FOLDER.',
    });
  }
  const model = choice.model ?? environment.TRACE_CONSOLE_EMBEDDING_MODEL;
  if (model === undefined || model === '') {
    throw new ConsoleError('usage', 'Which model of the embedding endpoint?', {
      hint: 'Give --embedding-model or TRACE_CONSOLE_EMBEDDING_MODEL, as text-embedding-3-small.',
    });
  }
  return endpointEmbedder({ url: embedding, model, key: environment.TRACE_CONSOLE_EMBEDDING_KEY });
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
