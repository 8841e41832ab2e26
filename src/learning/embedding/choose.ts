import { ConsoleError } from '../../db/errors.js';
import { hashEmbedder, type Embedder, fitted } from './embedder.js';
import { endpointEmbedder } from './open-ai.js';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

export type EmbeddingChoice = {
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
