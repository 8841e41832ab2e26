import { ConsoleError } from '../../db/errors.js';
import { defineCommand } from '../command.js';
import { actionFlags, runActionCommand } from '../run-action.js';

export const reindex = defineCommand({
  name: 'reindex',
  summary: 'rebuild an index while readers and writers go on',
  usage: 'INDEX [--dry-run] [--yes] [--json]',
  description: [
    'REINDEX CONCURRENTLY on a connection of its own. Interrupted, it drops what the rebuild left;',
    'the index stays as it was.',
  ].join('\n'),
  flags: actionFlags,
  inputs: 1,
  examples: ['trace-console reindex idx_pattern_embedding --yes'],
  run(context) {
    const [index] = context.input;
    if (index === undefined) {
      throw new ConsoleError('usage', 'Which index? Give its name.', {
        hint: 'trace-console status --pane index-usage lists them.',
      });
    }
    return runActionCommand('reindex', context, { index });
  },
});
