import { ConsoleError } from '../../db/errors.js';
import { defineCommand } from '../command.js';
import { actionFlags, runActionCommand } from '../run-action.js';
import { oneOf, treeIds } from '../tree-choice.js';

export const archiveRestore = defineCommand({
  name: 'archive restore',
  summary: 'bring archived trees back, whole and unchanged',
  usage: 'TRACE… | --session ID | --since TIME [--dry-run] [--yes] [--json]',
  description: [
    'TRACE is the id, correlation_id or root of any trace in a tree. Usage logs of patterns point to',
    'their trace again. A tree stays archived when a live trace has the id or correlation_id of one of its own.',
    'With --json: {"trees", "restored": {TABLE: rows}, "relinked", "skipped": {"trees", "roots"}}.',
  ].join('\n'),
  flags: {
    ...actionFlags,
    session: { type: 'string', value: 'ID', description: 'all trees of this session' },
    since: {
      type: 'string',
      value: 'TIME',
      description: 'all with a trace that started then or later: 2026-03-01, 2026-03-01T12:00Z',
    },
  },
  inputs: 1_000,
  examples: ['trace-console archive restore --since 2026-03-01 --dry-run'],
  run(context) {
    const { flags, input } = context;
    const { session, since } = flags;
    oneOf({
      TRACE: input.length > 0,
      '--session': session !== undefined,
      '--since': since !== undefined,
    });
    if (since !== undefined) {
      return runActionCommand('restore', context, { since: momentOf(since) });
    }
    if (session !== undefined) {
      const [id = ''] = treeIds([session]);
      return runActionCommand('restore', context, { session: id });
    }
    return runActionCommand('restore', context, { traces: treeIds(input) });
  },
});

function momentOf(text: string): string {
  const time = new Date(text);
  if (!/^\d{4}-\d\d-\d\d/.test(text) || Number.isNaN(time.getTime())) {
    throw new ConsoleError('usage', `--since does not understand "${text}".`, {
      hint: 'A date, or a date and time: 2026-03-01, 2026-03-01T12:00Z.',
    });
  }
  return time.toISOString();
}
