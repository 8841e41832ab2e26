import fs from 'node:fs/promises';
import { exactJson } from '../../core/exact-json.js';
import { counted, formatBytes } from '../../core/format/number.js';
import { failureOf } from '../../db/errors.js';
import {
  type Exportable,
  exportFolder,
  type ExportFormat,
  writeNewFile,
} from '../../panes/export/exportable.js';
import { safeLine } from '../../terminal/sanitise.js';
import { closing, inView, terminalCommands } from '../commands/kinds.js';
import type { Command, Context, Copyable, Scope, View } from '../context.js';
import { writer } from '../draw/box.js';
import type { Binding } from '../keymap.js';
import { Dialog, innerDialog } from '../screen/boxes.js';
import { failureText, strings } from '../strings.js';

/** A row for the clipboard. */
export function jsonOf(row: object): Copyable {
  return {
    get text() {
      return exactJson(row, 2);
    },
    what: 'the row as JSON',
  };
}

/** The export dialog: asks in which format rows are written to a file. */
export class ExportView implements View {
  readonly scope: Scope = exportScope;
  readonly source: Exportable;

  constructor(source: Exportable) {
    this.source = source;
  }

  draw({ model: { size }, keys }: Context) {
    const { title, formats, name } = this.source;
    const write = writer(innerDialog(size).width);
    const body = [
      ...write(safeLine(title)),
      ...write(`to a new file ${name}.… in ${safeLine(exportFolder(process.env))}`, 'muted'),
      ...write(''),
      ...write(`${keys.keyOf(asCsv.id)}: CSV, for spreadsheets`),
      ...write(`${keys.keyOf(asJson.id)}: JSON`),
      ...(formats.otlp
        ? write(`${keys.keyOf(asOtlp.id)}: OTLP, for collectors and trace viewers`)
        : []),
      ...write('Esc: back'),
    ];
    return <Dialog title="Write to a file" body={body} size={size} />;
  }
}

async function write(context: Context, source: Exportable, format: ExportFormat) {
  const { name, formats, streamed } = source;
  let rows: number | undefined;
  const onRows = (count: number) => {
    rows = count;
    context.say(`Writing: ${counted(count, 'row')} …`);
  };
  try {
    const isStreamed = streamed && format !== 'otlp';
    const text = isStreamed ? streamed(format, onRows) : (formats[format]?.() ?? '');
    const extension = format === 'otlp' ? 'otlp.json' : format;
    const file = await writeNewFile(exportFolder(process.env), name, extension, text);
    const count = rows === undefined ? '' : `${counted(rows, 'row')}, `;
    const { size } = await fs.stat(file);
    context.say(`Written: ${file} (${count}${formatBytes(size)})`, 'success');
  } catch (error) {
    context.say(failureText(failureOf(error)), 'error');
  }
}

function writeAs(format: ExportFormat, binding: Binding) {
  return inView(ExportView, {
    ...binding,
    priority: 1,
    accepts: true,
    run({ source }, context) {
      context.pop();
      void write(context, source, format);
    },
    unavailable: ({ source }) =>
      source.formats[format] ? undefined : 'Only a whole trace can be written as OTLP',
  });
}

const asCsv = writeAs('csv', { id: 'export-csv', keys: ['c'], title: 'as CSV', bar: 'CSV' });
const asJson = writeAs('json', { id: 'export-json', keys: ['j'], title: 'as JSON', bar: 'JSON' });
const asOtlp = writeAs('otlp', {
  id: 'export-otlp',
  keys: ['o'],
  title: 'a trace as OTLP, for collectors and trace viewers',
  bar: 'OTLP',
});

export const exportScope: Scope = {
  id: 'export',
  title: 'Export dialog',
  commands: [
    asCsv,
    asJson,
    asOtlp,
    closing({ keys: ['escape', 'q', 'n'], title: 'back, write nothing' }),
    ...terminalCommands,
  ],
};

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
