import { ConsoleError, exitCodes } from '../../db/errors.js';
import { listTrees } from '../../maintenance/archive/list-trees.js';
import { needArchive } from '../../maintenance/archive/trees.js';
import { archive } from '../../panes/archive.js';
import { defineCommand } from '../command.js';
import { safeJson } from '../safe-text.js';
import { paneTable } from '../status-text.js';

export const archiveList = defineCommand({
  name: 'archive list',
  summary: 'list archived trees of traces, or search them',
  usage: '[--search TEXT] [--limit N] [--json]',
  description: [
    'The newest first. --search finds a part of a prompt or error message, or a whole id, session,',
    'user, project, status, source or tag, in any trace of a tree; it reads the whole archive.',
    'With --json: an array of trees, each with its "root", which restore and purge take.',
  ].join('\n'),
  flags: {
    search: { type: 'string', value: 'TEXT', description: 'only trees with this in a trace' },
    limit: { type: 'number', value: 'N', description: 'so many trees; default 50' },
  },
  examples: ['trace-console archive list --search "refactor the parser"'],
  async run({ flags, print, openDatabase }) {
    const { search, limit = 50 } = flags;
    if (!Number.isInteger(limit) || limit < 1 || limit > 100_000) {
      throw new ConsoleError('usage', '--limit takes a whole number from 1 to 100000.');
    }
    const database = await openDatabase();
    needArchive(database);
    const trees = await database.transaction(
      { readOnly: true, statementTimeoutMs: 120_000 },
      (tx) => listTrees(tx, limit, search),
    );
    if (flags.json) print(safeJson(trees, 2));
    else if (trees.length === 0) print('No archived tree was found.');
    else {
      const root = {
        id: 'root',
        title: 'root',
        align: 'left',
        format: 'text',
        value: ({ root: id }: { root: string }) => id,
        priority: 1,
        minWidth: 36,
      } as const;
      print(paneTable({ columns: [root, ...archive.columns] }, trees, { nowMs: Date.now() }));
    }
    return exitCodes.good;
  },
});
