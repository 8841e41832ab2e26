import { objectOf } from '../../core/values.js';
import { quoteIdent } from '../../db/quote.js';
import { type Opening, type RecordRow, barLine, type DetailSection } from '../contract/opening.js';
import type { DetailQuery } from '../contract/pane.js';
import type { SchemaShape } from '../contract/shape.js';

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

/** How sure a routing decision was and of what that was made; whom it could have chosen instead. */
export function routingSections(row: RecordRow): DetailSection[] {
  const { confidence_score: confidence, agent_selected: agent } = row;
  const parts = entriesOf(row.confidence_breakdown).flatMap(([name, value]) =>
    typeof value === 'number' ? [barLine(name, value, 'muted')] : [],
  );
  const others = listOf(row.alternatives).flatMap((other) => {
    const found = Object.fromEntries(entriesOf(other));
    const name = found.agent ?? found.agent_name ?? found.name;
    const share = found.confidence ?? found.confidence_score ?? found.score;
    if (typeof name !== 'string') return [];
    return [typeof share === 'number' ? barLine(name, share, 'muted') : [{ text: name }]];
  });
  return [
    {
      title: 'Confidence',
      lines: [
        ...(typeof confidence === 'number' ? [barLine(String(agent), confidence, 'accent')] : []),
        ...parts,
      ],
    },
    {
      title: 'Alternatives',
      lines: others.length > 0 ? others : [[{ text: 'none was written down', tone: 'muted' }]],
    },
  ];
}

function entriesOf(value: unknown): [string, unknown][] {
  return Object.entries(objectOf(value));
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}
