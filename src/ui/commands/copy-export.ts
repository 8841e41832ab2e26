import { formatBytes } from '../../core/format/bytes.js';
import type { Command, Context, Copyable } from '../context.js';
import type { Binding } from '../keymap.js';
import { strings } from '../strings.js';
import { ExportView, exportScope } from '../views/export.js';

/** A command that puts something into the clipboard. */
export function copies(
  binding: Binding,
  find: (context: Context) => Copyable | undefined,
): Command {
  return {
    ...binding,
    run(context) {
      const found = find(context);
      if (!found) return;
      const { copiedBytes, isCut, doubt } = context.copy(found.text);
      const key = context.keys.keyOf(exportRows.id);
      const size = isCut ? `, cut at ${formatBytes(copiedBytes)}: ${key} writes all of it` : '';
      if (doubt === undefined) {
        context.say(`Copied: ${found.what}${size}`, 'success');
      } else {
        const sent = `Sent to the clipboard: ${found.what}${size}`;
        context.say(`${sent}. ${doubt}; ${key} writes a file`, 'warning');
      }
    },
    unavailable(context) {
      if (find(context)) return undefined;
      return context.front.whyNothingChosen?.(context) ?? strings.nothingToCopy;
    },
  };
}

export const copy = copies(
  {
    id: 'copy',
    keys: ['y'],
    title: 'copy: the row, the id of the trace',
    bar: 'copy',
    priority: 7,
  },
  (context) => context.front.copyable?.(context),
);

export const exportRows: Command = {
  id: 'export',
  keys: ['e'],
  title: 'write the rows, or the trace, to a new file: CSV, JSON, OTLP',
  bar: 'export',
  priority: 7,
  asks: exportScope.id,
  run(context) {
    const found = context.front.exportable?.(context);
    if (found) context.push(new ExportView(found));
  },
  unavailable(context) {
    const { front } = context;
    if (front.exportable?.(context)) return undefined;
    return front.whyNothingChosen?.(context) ?? strings.nothingToExport;
  },
};
