import { quoteIdent } from '../db/quote.js';
import { routingSections } from './details/routing-sections.js';
import type { Opening, RecordRow } from './opening.js';
import type { DetailQuery } from './pane.js';
import type { SchemaShape } from './shape.js';

/** Of 1536 numbers nobody reads any; neighbours are found by the database. */
const embeddings = new Set(['query_embedding', 'prompt_embedding']);

/** One row with every column that its table has here, texts and JSON in full. */
export function fullRecord(
  title: string,
  table: string,
  id: string,
  shape: SchemaShape,
): DetailQuery {
  const columns = [...(shape.relations.get(table)?.columns ?? [])]
    .filter((column) => !embeddings.has(column))
    .map((column) => quoteIdent(column));
  return {
    title,
    text: `SELECT ${columns.join(', ')} FROM ${quoteIdent(table)} WHERE id = $1`,
    values: [id],
  };
}

/** As {@link fullRecord}, opened from somewhere else than a pane. */
export function recordOpening(title: string, table: string, id: string): Opening {
  return {
    title,
    async read({ shape, read }) {
      const { text, values } = fullRecord(title, table, id, shape);
      const rows = await read<RecordRow>(text, values);
      const [row] = rows;
      const sections =
        row && table.startsWith('agent_routing_decisions') ? routingSections(row) : [];
      return { kind: 'records', title, rows, sections };
    },
  };
}
