import pgvector from 'pgvector';
import { Random } from './random.js';

/** As in the schema: vector(1536). */
export const embeddingDimension = 1536;
export const embeddingModel = 'text-embedding-3-small';

/**
 * Unit vectors in clusters, one cluster an intent. The centres come from the intents' names alone,
 * so that runs with different seeds share them and neighbours mean the same everywhere.
 */
export class Embeddings {
  readonly #centres = new Map<string, Float64Array>();

  /**
   * A point near the cluster's centre as pgvector's text form. With spread 0.5 the cosine
   * similarity to the centre is about 0.89, between two points of a cluster about 0.8, and between
   * clusters about 0.
   */
  near(cluster: string, spread: number, random: Random): string {
    const centre = this.#centreOf(cluster);
    const step = spread / Math.sqrt(embeddingDimension);
    const point = centre.map((value) => value + step * random.normal());
    const length = lengthOf(point);
    // Six decimals: single precision near 0.03 holds no more, and the text is a third shorter.
    const values = Array.from(point, (value) => Math.round((value / length) * 1e6) / 1e6);
    return String(pgvector.toSql(values));
  }

  #centreOf(cluster: string): Float64Array {
    const known = this.#centres.get(cluster);
    if (known) return known;
    const random = new Random('embedding', cluster);
    const direction = Float64Array.from({ length: embeddingDimension }, () => random.normal());
    const length = lengthOf(direction);
    const centre = direction.map((value) => value / length);
    this.#centres.set(cluster, centre);
    return centre;
  }
}

function lengthOf(vector: Float64Array): number {
  return Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
}
