import { ConsoleError, exitCodes } from '../../db/errors.js';
import { otlpOf } from '../../panes/export/otlp.js';
import { traceJson } from '../../panes/export/exportable.js';
import type { DetailAccess } from '../../panes/contract/opening.js';
import { usualLimits } from '../../panes/contract/pane.js';
import { readShape } from '../../panes/contract/shape.js';
import { eventText } from '../../panes/trace/event.js';
import { readTraceTree } from '../../panes/trace/trace-opening.js';
import { nodeTitle, type TraceTree } from '../../panes/trace/tree.js';
import { wholeTraceId } from '../../panes/trace/traces-listed.js';
import { formatDuration } from '../../core/format/duration.js';
import { formatShare } from '../../core/format/number.js';
import { safeLine } from '../../terminal/sanitise.js';
import { defineCommand } from '../command.js';
import { plainTable } from '../plain-table.js';
import { safeJson } from '../safe-text.js';

export const command = defineCommand({
  name: 'trace',
  summary: 'print a trace with its whole tree, as a table, JSON or OTLP',
  usage: 'ID [--json | --otlp]',
  description: [
    'ID is the correlation id of a trace, live or archived, or the id of its row; of a live one its first digits are',
    'enough. All of the tree it belongs to is printed: traces, routing decisions, hooks, endpoint calls.',
    '',
    '"own" is the time in which the whole waited for that event and for nothing below it: what made it slow.',
    'Exit code 1 when there is no such trace.',
  ].join('\n'),
  printsFile: ({ otlp }) => otlp,
  flags: {
    otlp: {
      type: 'boolean',
      description: 'print an OTLP/JSON export request, as collectors take it',
    },
  },
  examples: [
    'trace-console trace 729c859d-6622-4380-9a6b-ebd5758d4f48',
    'trace-console trace 729c859d',
    'trace-console trace ID --otlp | curl --json @- http://localhost:4318/v1/traces',
  ],
  inputs: 1,
  async run({ flags, input, openDatabase, print }) {
    const [id] = input;
    if (id === undefined || (flags.json && flags.otlp)) {
      throw new ConsoleError(
        'usage',
        id === undefined ? 'Which trace?' : 'Either --json or --otlp.',
        { hint: 'trace-console trace ID [--json | --otlp]' },
      );
    }
    const database = await openDatabase();
    const access: Pick<DetailAccess, 'shape' | 'read'> = {
      shape: await readShape(database),
      // A program waits rather than asks again.
      read: (text, values) =>
        database.read(text, values, { ...usualLimits, statementTimeoutMs: 30_000 }),
    };
    const tree = await readTraceTree(access, await wholeTraceId(access, id));
    if (flags.otlp) print(safeJson(otlpOf(tree)));
    else print(flags.json ? safeJson(traceJson(tree), 2) : traceText(tree));
    return exitCodes.good;
  },
});

function traceText(tree: TraceTree): string {
  const { asked, nodes, totalMs, failures } = tree;
  const table = plainTable(
    ['start', 'took', 'own', '', 'event', 'detail'],
    nodes.map((node) => {
      const { event, depth, startMs, ownMs } = node;
      const isOwn = ownMs > 0;
      return [
        `+${formatDuration(startMs)}`,
        event.durationMs === null ? '' : formatDuration(event.durationMs),
        isOwn ? formatDuration(ownMs) : '',
        isOwn && totalMs > 0 ? formatShare(ownMs / totalMs) : '',
        `${'  '.repeat(Math.min(depth, 20))}${safeLine(nodeTitle(node))}`,
        safeLine(
          [event.outcome === 'ok' ? '' : event.outcome, eventText(event)]
            .filter(Boolean)
            .join(': '),
          { limit: 200 },
        ),
      ];
    }),
    { right: [0, 1, 2, 3] },
  );
  const summary = [
    `trace ${asked.event.correlationId}`,
    safeLine(asked.event.status ?? ''),
    `${nodes.length} events`,
    formatDuration(totalMs),
    `${failures} failed`,
    ...(asked.event.archived ? ['archived'] : []),
    ...(tree.isCut ? ['only its first events'] : []),
  ];
  return `${summary.join(', ')}\n\n${table}`;
}
