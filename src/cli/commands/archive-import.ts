import { ConsoleError } from '../../db/errors.js';
import { defineCommand } from '../command.js';
import { actionFlags, runActionCommand } from '../run-action.js';

export const archiveImport = defineCommand({
  name: 'archive import',
  summary: 'bring an export of archived trees back into the archive',
  usage: 'FILE [--dry-run] [--yes] [--json]',
  description: [
    'The file is verified from its first to its last line before anything is written; every batch is',
    'compared with it again as it stands in the archive. Rows that are there already, equal, stay.',
    'With --json: {"imported": {TABLE: rows}, "present"}.',
  ].join('\n'),
  flags: actionFlags,
  inputs: 1,
  examples: ['trace-console archive import traces-2025.jsonl --dry-run'],
  run(context) {
    const [file] = context.input;
    if (file === undefined) throw new ConsoleError('usage', 'archive import needs a FILE.');
    return runActionCommand('import', context, { file });
  },
});
