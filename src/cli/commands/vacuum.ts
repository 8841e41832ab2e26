import { defineCommand } from '../command.js';
import { actionFlags, runActionCommand } from '../run-action.js';

export const vacuum = defineCommand({
  name: 'vacuum',
  summary: 'make the room of dead rows usable again',
  usage: '[TABLE…] [--dry-run] [--yes] [--json]',
  description: [
    'VACUUM, table by table: those that are named, or all of the schema and its archives. Readers and',
    'writers go on. The files seldom shrink.',
  ].join('\n'),
  flags: actionFlags,
  inputs: 100,
  examples: ['trace-console vacuum --yes', 'trace-console vacuum success_patterns'],
  run: (context) =>
    runActionCommand('vacuum', context, context.input.length > 0 ? { tables: context.input } : {}),
});
