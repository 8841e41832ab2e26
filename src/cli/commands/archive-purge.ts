import { defineCommand } from '../command.js';
import { parseAge } from '../parse-age.js';
import { actionFlags, runActionCommand } from '../run-action.js';
import { oneOf, treeIds } from '../tree-choice.js';

export const archivePurge = defineCommand({
  name: 'archive purge',
  summary: 'delete archived trees for good; exported first where you say so',
  usage: 'TRACE… | --older-than AGE [--export FILE] [--dry-run] [--yes] [--json]',
  description: [
    'Whole trees, all of whose traces started before. --export writes JSON lines, reads them back and',
    'compares count and checksum with those of the server before anything is deleted; then only what is',
    'in the file is. archive import brings it back. An existing file is not overwritten.',
    'With --json: {"deleted": {TABLE: rows}, "exportFile", "checksum"}.',
  ].join('\n'),
  flags: {
    ...actionFlags,
    olderThan: { type: 'string', value: 'AGE', description: 'for example 365d' },
    export: { type: 'string', value: 'FILE', description: 'write what is deleted to this file' },
  },
  inputs: 1_000,
  examples: ['trace-console archive purge --older-than 365d --export traces-2025.jsonl'],
  run(context) {
    const { flags, input } = context;
    const { olderThan, export: exportFile } = flags;
    oneOf({ TRACE: input.length > 0, '--older-than': olderThan !== undefined });
    return runActionCommand('purge', context, {
      ...(olderThan === undefined
        ? { traces: treeIds(input) }
        : { olderThan: parseAge(olderThan, '--older-than').interval }),
      ...(exportFile === undefined ? {} : { exportFile }),
    });
  },
});
