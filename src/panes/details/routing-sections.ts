import type { RecordRow } from '../opening.js';
import { barLine, type DetailSection } from './section.js';

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
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.entries(value)
    : [];
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}
