import { quoteIdent } from '../db/quote.js';
import type { Embeddings } from './embeddings.js';
import { patternRow, type PatternBook } from './patterns.js';
import { Random } from './random.js';
import { runInChunks, recordset } from './writing/recordset.js';
import type { Writer } from './writing/writer.js';

const pattern = recordset('success_patterns');

const insert = `
INSERT INTO success_patterns (${pattern.names})
SELECT ${pattern.values} FROM ${pattern.source}
ON CONFLICT (pattern_hash) DO NOTHING`;

const perTransaction = 100;

/** Stores the patterns that are not there yet, learned at some time within `from`…`until`. */
export async function storePatterns(
  book: PatternBook,
  embeddings: Embeddings,
  writer: Writer,
  times: { from: number; until: number; seed: number },
  signal: AbortSignal | undefined,
): Promise<number> {
  const known = await writer.run(async (tx) => {
    const { rows } = await tx.query<{ pattern_hash: string }>(
      `SELECT pattern_hash FROM ${quoteIdent('success_patterns')} WHERE pattern_hash = ANY ($1)`,
      [book.patterns.map(({ hash }) => hash)],
    );
    return new Set(rows.map(({ pattern_hash }) => pattern_hash));
  });
  const missing = book.patterns.filter(({ hash }) => !known.has(hash));
  let stored = 0;
  for (let index = 0; index < missing.length && !signal?.aborted; index += perTransaction) {
    const rows = missing.slice(index, index + perTransaction).map((one) => {
      const random = new Random('learned', times.seed, one.hash);
      // Most are known early, so that history can use them.
      const age = (times.until - times.from) * (1 - 0.3 * random.next() ** 2);
      return patternRow(one, Math.round(times.until - age), embeddings);
    });
    stored += await writer.run((tx) => runInChunks(tx, insert, 'success_patterns', rows));
  }
  writer.inserted.success_patterns += stored;
  return stored;
}
