/**
 * A seeded source of chance: sfc32 over a 128-bit hash of the key. Equal keys give equal sequences
 * on every machine; different keys give unrelated ones, so that each tree has its own and does not
 * depend on the order in which trees are made.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(...key: readonly (string | number)[]) {
    [this.#a, this.#b, this.#c, this.#d] = hash128(key.join('\u001f'));
    for (let round = 0; round < 12; round += 1) this.#next32();
  }

  /** Evenly in [0, 1), 32 bits. */
  next(): number {
    return this.#next32() / 4_294_967_296;
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** Evenly in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** A whole number from low to high, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[Math.floor(this.next() * items.length)];
    if (item === undefined) throw new RangeError('Nothing to pick from.');
    return item;
  }

  /** One of `items`, each as likely as its weight says. */
  weighted<Item extends { weight: number }>(items: readonly Item[]): Item {
    const total = items.reduce((sum, { weight }) => sum + weight, 0);
    let rest = this.next() * total;
    for (const item of items) {
      rest -= item.weight;
      if (rest < 0) return item;
    }
    return this.pick(items);
  }

  /** Standard normal (Box–Muller, one of the pair). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    return radius * Math.cos(2 * Math.PI * this.next());
  }

  /** Log-normal: half of the values lie under `median`; sigma 0.5 is a short tail, 1.2 a long one. */
  logNormal(median: number, sigma: number): number {
    return median * Math.exp(sigma * this.normal());
  }

  /** A UUID of version 4 by form; its bits come from the seed. */
  uuid(): string {
    const a = this.#next32();
    const b = (this.#next32() & 0xffff0fff) | 0x4000;
    const c = (this.#next32() & 0x3fffffff) | 0x80000000;
    const d = this.#next32();
    return `${hex16(a >>> 16)}${hex16(a)}-${hex16(b >>> 16)}-${hex16(b)}-${hex16(c >>> 16)}-${hex16(c)}${hex16(d >>> 16)}${hex16(d)}`;
  }

  /** Letters and digits as in the ids that APIs hand out. */
  token(length: number): string {
    const letters = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789';
    let text = '';
    while (text.length < length) text += letters[Math.floor(this.next() * letters.length)] ?? '';
    return text;
  }

  #next32(): number {
    const sum = (this.#a + this.#b + this.#d) | 0;
    this.#d = (this.#d + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }
}

/** cyrb128: four multiplicative hashes mixed with each other. Not for secrets. */
function hash128(text: string): [number, number, number, number] {
  let [a, b, c, d] = [1779033703, 3144134277, 1013904242, 2773480762];
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    a = b ^ Math.imul(a ^ code, 597399067);
    b = c ^ Math.imul(b ^ code, 2869860233);
    c = d ^ Math.imul(c ^ code, 951274213);
    d = a ^ Math.imul(d ^ code, 2716044179);
  }
  a = Math.imul(c ^ (a >>> 18), 597399067);
  b = Math.imul(d ^ (b >>> 22), 2869860233);
  c = Math.imul(a ^ (c >>> 17), 951274213);
  d = Math.imul(b ^ (d >>> 19), 2716044179);
  return [a ^ b ^ c ^ d, b ^ a, c ^ a, d ^ a];
}

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** The low 16 bits. */
function hex16(value: number): string {
  return (hexOfByte[(value >>> 8) & 0xff] ?? '') + (hexOfByte[value & 0xff] ?? '');
}

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
   * A point near the cluster's centre. With spread 0.5 the cosine
   * similarity to the centre is about 0.89, between two points of a cluster about 0.8, and between
   * clusters about 0.
   */
  near(cluster: string, spread: number, random: Random): Float32Array {
    const centre = this.#centreOf(cluster);
    const step = spread / Math.sqrt(embeddingDimension);
    const point = centre.map((value) => value + step * random.normal());
    const length = lengthOf(point);
    return Float32Array.from(point, (value) => value / length);
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
