import { createHash } from 'node:crypto';
import { embeddingDimensions } from '../embedding/embedder.js';

/** A group of prompts that ask for the same. */
export type Cluster = {
  id: string;
  request: string;
  members: number;
  /** The number of the turn that joined last. */
  lastMember: number;
};

/** So many groups are kept: 60 MB of embeddings. */
const mostClusters = 10_000;

/**
 * Groups prompts as they come: each joins the group whose first prompt is nearest to it, or begins one of its own when
 * none is near enough. A group's first prompt never changes, so what a prompt joins depends only on the prompts
 * before it. When there are too many groups the one that nobody joined for longest is forgotten.
 */
export class ClusterBook {
  readonly threshold: number;
  readonly #clusters: Cluster[] = [];
  readonly #byId = new Map<string, number>();
  #vectors = new Float32Array(64 * embeddingDimensions);
  readonly #capacity: number;
  readonly changed = new Set<string>();
  /** Those that are not stored yet. */
  readonly begun = new Set<string>();
  readonly forgotten = new Set<string>();

  /** @param threshold the least cosine similarity to a group's first prompt */
  constructor(threshold: number, capacity: number = mostClusters) {
    this.threshold = threshold;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#clusters.length;
  }

  clusters(): readonly Cluster[] {
    return this.#clusters;
  }

  /** A group that is stored. */
  load(cluster: Cluster, vector: Float32Array): void {
    this.#put(cluster, vector);
  }

  get(id: string): Cluster | undefined {
    const slot = this.#byId.get(id);
    return slot === undefined ? undefined : this.#clusters[slot];
  }

  vectorOf(id: string): Float32Array | undefined {
    const slot = this.#byId.get(id);
    if (slot === undefined) return undefined;
    return this.#vectors.slice(slot * embeddingDimensions, (slot + 1) * embeddingDimensions);
  }

  /** The group that a prompt joins. `turn` numbers the turns in their order. */
  join(request: string, vector: Float32Array, turn: number): Cluster {
    const cluster = this.#nearest(vector) ?? this.#begin(request, vector);
    cluster.members += 1;
    cluster.lastMember = turn;
    this.changed.add(cluster.id);
    return cluster;
  }

  /** What changed was stored. */
  stored(): void {
    this.changed.clear();
    this.begun.clear();
    this.forgotten.clear();
  }

  #begin(request: string, vector: Float32Array): Cluster {
    const id = createHash('sha1').update(request).digest('hex').slice(0, 24);
    const known = this.get(id);
    // The same words with another vector: only after a change of the model.
    if (known) return known;
    if (this.#clusters.length >= this.#capacity) this.#forgetOldest();
    const cluster: Cluster = { id, request, members: 0, lastMember: 0 };
    this.#put(cluster, vector);
    this.begun.add(id);
    return cluster;
  }

  #put(cluster: Cluster, vector: Float32Array): void {
    const slot = this.#clusters.length;
    if ((slot + 1) * embeddingDimensions > this.#vectors.length) {
      const grown = new Float32Array(this.#vectors.length * 2);
      grown.set(this.#vectors);
      this.#vectors = grown;
    }
    this.#clusters.push(cluster);
    this.#byId.set(cluster.id, slot);
    this.#vectors.set(vector, slot * embeddingDimensions);
  }

  #forgetOldest(): void {
    let oldest = 0;
    for (const [slot, { lastMember }] of this.#clusters.entries()) {
      if (lastMember < (this.#clusters[oldest]?.lastMember ?? Infinity)) oldest = slot;
    }
    const gone = this.#clusters[oldest];
    const last = this.#clusters.pop();
    if (!gone || !last) return;
    this.#byId.delete(gone.id);
    this.changed.delete(gone.id);
    this.begun.delete(gone.id);
    this.forgotten.add(gone.id);
    if (gone === last) return;
    const from = this.#clusters.length * embeddingDimensions;
    this.#vectors.copyWithin(oldest * embeddingDimensions, from, from + embeddingDimensions);
    this.#clusters[oldest] = last;
    this.#byId.set(last.id, oldest);
  }

  /** Only the dimensions in which the prompt has a value count: few of a hash embedding. Of equals the smaller id. */
  #nearest(vector: Float32Array): Cluster | undefined {
    const used: number[] = [];
    for (let index = 0; index < embeddingDimensions; index += 1) {
      if (vector[index] !== 0) used.push(index);
    }
    let nearest: Cluster | undefined;
    let most = this.threshold;
    for (const [slot, cluster] of this.#clusters.entries()) {
      const from = slot * embeddingDimensions;
      let similarity = 0;
      for (const index of used) {
        similarity += (vector[index] ?? 0) * (this.#vectors[from + index] ?? 0);
      }
      const isNearer =
        similarity > most || (similarity === most && (!nearest || cluster.id < nearest.id));
      if (!isNearer) continue;
      most = similarity;
      nearest = cluster;
    }
    return nearest;
  }
}
