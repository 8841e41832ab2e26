import { defineCommand } from '../command.js';
import { actionFlags, runActionCommand } from '../run-action.js';

export const analyze = defineCommand({
  name: 'analyze',
  summary: 'let the planner know what the tables hold now',
  usage: '[TABLE…] [--dry-run] [--yes] [--json]',
  description: [
    'ANALYZE, table by table: those that are named, or all of the schema and its archives.',
  ].join('\n'),
  flags: actionFlags,
  inputs: 100,
  examples: ['trace-console analyze --yes', 'trace-console analyze success_patterns'],
  run: (context) =>
    runActionCommand('analyze', context, context.input.length > 0 ? { tables: context.input } : {}),
});
