import { ConsoleError } from '../../db/errors.js';
import { defineCommand } from '../command.js';
import { parseAge } from '../parse-age.js';
import { actionFlags, runActionCommand } from '../run-action.js';

export const archive = defineCommand({
  name: 'archive',
  summary: 'move old traces, with all that belongs to them, to the archive',
  usage: '[--older-than AGE] [--dry-run] [--yes] [--pause MS] [--max-time AGE] [--json]',
  description: [
    'Whole trees of traces move, in short transactions, to the *_archive tables. A tree with a',
    'younger trace or one in progress is held back. It may be interrupted at any moment and run',
    'again. With --json: {"cutoff", "moved": {TABLE: rows}, "skipped", "remaining"}.',
  ].join('\n'),
  flags: {
    ...actionFlags,
    olderThan: { type: 'string', value: 'AGE', description: 'for example 90d, 12h; default 90d' },
    pause: { type: 'number', value: 'MS', description: 'wait between batches; default 50' },
    maxTime: { type: 'string', value: 'AGE', description: 'stop after this time, for example 10m' },
  },
  examples: [
    'trace-console archive --older-than 90d --dry-run',
    'trace-console archive --yes --json',
  ],
  run(context) {
    const { olderThan = '90d', pause, maxTime } = context.flags;
    if (pause !== undefined && pause < 0)
      throw new ConsoleError('usage', '--pause cannot be negative.');
    const age = parseAge(olderThan, '--older-than');
    return runActionCommand('archive', context, {
      olderThan: age.interval,
      ...(pause === undefined ? {} : { pauseMs: pause }),
      ...(maxTime === undefined ? {} : { maxTimeMs: parseAge(maxTime, '--max-time').milliseconds }),
    });
  },
});
