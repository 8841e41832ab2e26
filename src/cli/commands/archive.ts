import { ConsoleError, exitCodes } from '../../db/errors.js';
import { defineCommand, parseAge } from '../command.js';
import { actionFlags, runActionCommand } from '../run-action.js';
import { archive, listTrees } from '../../panes/archive.js';
import { needArchive } from '../../maintenance/archive/trees.js';
import { safeJson } from '../safe-text.js';
import { paneTable } from '../plain-table.js';

export const command = defineCommand({
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

export const archiveListCommand = defineCommand({
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

export const archiveRestoreCommand = defineCommand({
  name: 'archive restore',
  summary: 'bring archived trees back, whole and unchanged',
  usage: 'TRACE… | --session ID | --since TIME [--dry-run] [--yes] [--json]',
  description: [
    'TRACE is the id, correlation_id or root of any trace in a tree, or the OpenTelemetry trace id of its',
    'sender (32 hexadecimal digits), as "trace ID" prints it. Usage logs of patterns point to',
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

export const archivePurgeCommand = defineCommand({
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

export const archiveImportCommand = defineCommand({
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

/** Ids of traces as arguments. @throws ConsoleError `usage` */
export function treeIds(input: readonly string[]): string[] {
  return input.map((text) => {
    const parts = /^([\da-f]{8})-?([\da-f]{4})-?([\da-f]{4})-?([\da-f]{4})-?([\da-f]{12})$/i.exec(
      text,
    );
    if (parts) return parts.slice(1).join('-').toLowerCase();
    throw new ConsoleError('usage', `"${text}" is no id of a trace.`, {
      hint: 'An id is a UUID; trace-console archive list shows them.',
    });
  });
}

/** Exactly one of the ways to say which trees. @throws ConsoleError `usage` */
export function oneOf(ways: Readonly<Record<string, boolean>>): void {
  if (Object.values(ways).filter(Boolean).length === 1) return;
  const names = Object.keys(ways).join(', ');
  throw new ConsoleError('usage', `Which trees? Give one of: ${names}.`);
}
