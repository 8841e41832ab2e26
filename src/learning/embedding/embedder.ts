import pgvector from 'pgvector';
import { readNumber } from '../../core/values.js';
import { ConsoleError } from '../../db/errors.js';
import { stem, isStopWord, wordsOf } from '../text/prompt-text.js';

/** What an embedder has used so far; null: it costs nothing, or nobody knows what. */
export type EmbeddingUsage = { texts: number; tokens: number; costUsd: number | null };

/** Turns texts into vectors of length 1 with 1536 dimensions. */
export type Embedder = {
  /** Goes into `embedding_model`. Vectors of two models are never compared. */
  readonly model: string;
  /** One vector a text, in their order. */
  embed: (texts: readonly string[], signal?: AbortSignal) => Promise<Float32Array[]>;
  usage: () => EmbeddingUsage;
};

/** An endpoint's answer that holds no embeddings. */
export class EndpointRefusal extends Error {
  readonly status: number;
  readonly body: string;
  /** How long it asks to wait; 0: it says nothing. */
  readonly askedMs: number;

  constructor(status: number, body: string, askedMs = 0) {
    super(`HTTP ${status}`);
    this.status = status;
    this.body = body;
    this.askedMs = askedMs;
  }
}

export const hashModel = 'hash-1';

/** The built-in embedder: no model, no network. */
export function hashEmbedder(): Embedder {
  let count = 0;
  return {
    model: hashModel,
    embed(texts) {
      count += texts.length;
      return Promise.resolve(texts.map(hashEmbedding));
    },
    usage: () => ({ texts: count, tokens: 0, costUsd: 0 }),
  };
}

/** From which cosine similarity on two prompts ask for the same, until it was measured on the data. */
export function usualThreshold(model: string): number {
  return model === hashModel ? 0.38 : 0.6;
}

/**
 * A model's vector as the schema stores it: shorter ones are filled up with zeros, which leaves every cosine as it is,
 * and all are brought to length 1.
 *
 * @throws ConsoleError `usage` for more than 1536 dimensions: cut off, they would be another model's
 */
export function fitted(values: readonly number[], model: string): Float32Array {
  if (values.length > embeddingDimensions || values.length === 0) {
    throw new ConsoleError(
      'usage',
      `The model ${model} gives ${values.length} dimensions; the schema stores 1 to ${embeddingDimensions}.`,
      { hint: 'Choose a smaller model, or one that can be asked for 1536 dimensions.' },
    );
  }
  let squares = 0;
  for (const value of values) {
    if (!Number.isFinite(value)) {
      throw new ConsoleError(
        'query_failed',
        `The model ${model} gave a vector with no number in it.`,
      );
    }
    squares += value * value;
  }
  const vector = new Float32Array(embeddingDimensions);
  const length = Math.sqrt(squares);
  if (length > 0) for (const [index, value] of values.entries()) vector[index] = value / length;
  return vector;
}

/** As pgvector writes it: `[0.1,0,…]`. Seven digits are more than single precision holds. */
export function vectorText(vector: Float32Array): string {
  const shortest = (value: number) => (value === 0 ? 0 : readNumber(value.toPrecision(7)));
  return String(pgvector.toSql(Array.from(vector, shortest)));
}

/** As in the schema: vector(1536). */
export const embeddingDimensions = 1536;

const wordWeight = 1;
const stopWordWeight = 0.25;
const bigramWeight = 0.7;
const gramWeight = 0.25;
const shortestGram = 3;
const longestGram = 5;

/**
 * An embedding without a model: stemmed words, pairs of words and runs of 3 to 5 characters are hashed with a
 * sign into 1536 dimensions, counted by the square root, and brought to length 1. Equal texts give equal
 * vectors on every machine. It knows words, not meanings: synonyms are strangers to it.
 */
export function hashEmbedding(text: string): Float32Array {
  const counts = new Map<number, number>();
  const add = (hash: number, weight: number) => {
    // One bit for the sign, the others for the dimension.
    const key = (hash >>> 1) % embeddingDimensions;
    const signed = (hash & 1) === 0 ? weight : -weight;
    counts.set(key, (counts.get(key) ?? 0) + signed);
  };
  let previous: string | undefined;
  for (const word of wordsOf(text)) {
    const root = stem(word);
    const isStop = isStopWord(word);
    add(hashOf(`w ${root}`), isStop ? stopWordWeight : wordWeight);
    if (previous !== undefined) add(hashOf(`b ${previous} ${root}`), bigramWeight);
    previous = root;
    if (!isStop) addGrams(` ${root} `, add);
  }
  return unit(counts);
}

function addGrams(word: string, add: (hash: number, weight: number) => void): void {
  for (let from = 0; from + shortestGram <= word.length; from += 1) {
    let hash = seedOf('g');
    for (let length = 1; length <= longestGram && from + length <= word.length; length += 1) {
      hash = step(hash, word.charCodeAt(from + length - 1));
      if (length >= shortestGram) add(finish(hash), gramWeight / Math.sqrt(word.length));
    }
  }
}

function unit(counts: ReadonlyMap<number, number>): Float32Array {
  const vector = new Float32Array(embeddingDimensions);
  let squares = 0;
  for (const [dimension, count] of counts) {
    const value = Math.sign(count) * Math.sqrt(Math.abs(count));
    vector[dimension] = value;
    squares += value * value;
  }
  if (squares === 0) return vector;
  const length = Math.sqrt(squares);
  for (const dimension of counts.keys()) vector[dimension] = (vector[dimension] ?? 0) / length;
  return vector;
}

/** FNV-1a over code units, and a last mix: its low bits alone are poor. */
function hashOf(text: string): number {
  let hash = seedOf('');
  for (let index = 0; index < text.length; index += 1) hash = step(hash, text.charCodeAt(index));
  return finish(hash);
}

function seedOf(kind: string): number {
  return kind === '' ? 0x811c9dc5 : 0x811c9dc5 ^ kind.charCodeAt(0);
}

function step(hash: number, code: number): number {
  return Math.imul(hash ^ code, 0x01000193);
}

function finish(hash: number): number {
  let mixed = hash ^ (hash >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
