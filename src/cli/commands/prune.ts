import { ConsoleError } from '../../db/errors.js';
import { defineCommand } from '../command.js';
import { parseAge } from '../parse-age.js';
import { actionFlags, runActionCommand } from '../run-action.js';

export const prune = defineCommand({
  name: 'prune',
  summary: 'delete old usage logs, and patterns that proved of little value',
  usage:
    '[--usage-older-than AGE] [--min-uses N] [--min-success SHARE] [--unused-for AGE] [--dry-run] [--yes]',
  description: [
    'A pattern goes when it has fewer than --min-uses uses, a success rate under --min-success, and no use',
    'for --unused-for; a usage log goes by its age alone. --dry-run counts them and lists the patterns.',
    'In batches; it may be interrupted at any moment and run again. With --json: {"usageLogs", "patterns",',
    '"usageLogsOfPatterns"}.',
  ].join('\n'),
  flags: {
    ...actionFlags,
    usageOlderThan: { type: 'string', value: 'AGE', description: 'default 180d' },
    minUses: { type: 'number', value: 'N', description: 'default 5' },
    minSuccess: { type: 'number', value: 'SHARE', description: '0 to 1; default 0.5' },
    unusedFor: { type: 'string', value: 'AGE', description: 'default 30d' },
  },
  examples: ['trace-console prune --dry-run', 'trace-console prune --unused-for 60d --yes --json'],
  run(context) {
    const { usageOlderThan, minUses, minSuccess, unusedFor } = context.flags;
    if (minUses !== undefined && !(Number.isInteger(minUses) && minUses >= 0)) {
      throw new ConsoleError('usage', '--min-uses is a whole number, 0 or more.');
    }
    if (minSuccess !== undefined && !(minSuccess >= 0 && minSuccess <= 1)) {
      throw new ConsoleError('usage', '--min-success is a share between 0 and 1.');
    }
    return runActionCommand('prune', context, {
      ...(usageOlderThan === undefined
        ? {}
        : { usageOlderThan: parseAge(usageOlderThan, '--usage-older-than').interval }),
      ...(minUses === undefined ? {} : { minUses }),
      ...(minSuccess === undefined ? {} : { minSuccess }),
      ...(unusedFor === undefined
        ? {}
        : { unusedFor: parseAge(unusedFor, '--unused-for').interval }),
    });
  },
});
