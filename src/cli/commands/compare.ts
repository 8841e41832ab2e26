import { ConsoleError, exitCodes } from '../../db/errors.js';
import { compareMoment, comparedText } from '../../panes/compare.js';
import { cellOf } from '../../panes/contract/column.js';
import { usualLimits } from '../../panes/contract/pane.js';
import { readShape } from '../../panes/contract/shape.js';
import { changeColumns, changeOfRow } from '../../panes/reading/changes.js';
import { defaultWindowMs } from '../../panes/reading/windows.js';
import { safeLine } from '../../terminal/sanitise.js';
import { defineCommand, parseWindow } from '../command.js';
import { plainTable } from '../plain-table.js';
import { safeJson } from '../safe-text.js';
import { momentOf, serverNow } from './status.js';

export const command = defineCommand({
  name: 'compare',
  summary: 'print what got worse and better at a moment, for example a deployment',
  usage: 'MOMENT [--window 1h] [--json]',
  description: [
    'Compares the window before a moment with the one after it, which ends now at the latest, in all panes of calls:',
    'shares of failures by their interval of 95 % confidence, p95 and calls from a third more or less on, with the calls',
    'behind each. Fewer than 20 calls on either side are too few to say.',
    '',
    'MOMENT is 14:05 (the last time it was that), "yesterday 14:05", "2026-11-24 14:05", "2h ago".',
    '',
    'With --json: {"momentMs", "spanMs", "endMs", "notes", "changes": [{"verdict", "pane", "row", "figure", "before", "after", …}]}.',
  ].join('\n'),
  inputs: 1,
  flags: {
    window: { type: 'string', value: 'TIME', description: 'on either side; default 1h' },
  },
  examples: ['trace-console compare 14:05', 'trace-console compare "2h ago" --window 30m --json'],
  async run({ flags, input, openDatabase, print, settings }) {
    const [moment] = input;
    if (moment === undefined) {
      throw new ConsoleError('usage', 'At which moment?', {
        hint: 'trace-console compare 14:05',
      });
    }
    momentOf(moment, Date.now(), 'MOMENT');
    const windowMs =
      flags.window === undefined
        ? (settings.windowMs ?? defaultWindowMs)
        : parseWindow(flags.window);
    const database = await openDatabase();
    const momentMs = momentOf(moment, await serverNow(database), 'MOMENT');
    if (momentMs === undefined)
      throw new ConsoleError('usage', 'A moment in the past is compared.');
    const found = await compareMoment(
      {
        shape: await readShape(database),
        windowMs,
        read: (text, values) => database.read(text, values, usualLimits),
      },
      momentMs,
    );
    const { rows, notes, spanMs, endMs } = found;
    if (flags.json) {
      const changes = rows.map(changeOfRow);
      print(safeJson({ momentMs, spanMs, endMs, notes, changes }, 2));
      return exitCodes.good;
    }
    print(comparedText(found));
    for (const note of notes) print(safeLine(note));
    const context = { nowMs: endMs };
    const lines = rows.map((row) =>
      changeColumns.map((column) => safeLine(cellOf(column, row, context).text)),
    );
    const right = changeColumns.flatMap(({ align }, index) => (align === 'right' ? [index] : []));
    print(
      rows.length === 0
        ? 'Nothing changed by more than chance.'
        : `\n${plainTable(
            changeColumns.map(({ title }) => title),
            lines,
            { right },
          )}`,
    );
    return exitCodes.good;
  },
});
