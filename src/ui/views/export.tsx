import fs from 'node:fs/promises';
import { formatBytes } from '../../core/format/bytes.js';
import { withSeparators } from '../../core/format/number.js';
import { failureOf } from '../../db/errors.js';
import {
  type Exportable,
  type ExportFormat,
  exportFolder,
  writeNewFile,
} from '../../panes/export/exportable.js';
import { safeLine } from '../../terminal/sanitise.js';
import { inView, closing, terminalCommands } from '../commands/kinds.js';
import type { Context, Scope, View } from '../context.js';
import { writer } from '../draw/box.js';
import type { Binding } from '../keymap.js';
import { Dialog, innerDialog } from '../screen/boxes.js';
import { failureText } from '../strings.js';

/** In which form rows are written to a file, and where to. */
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
    context.say(`Writing: ${withSeparators(count)} rows …`);
  };
  try {
    const isStreamed = streamed && format !== 'otlp';
    const text = isStreamed ? streamed(format, onRows) : (formats[format]?.() ?? '');
    const extension = format === 'otlp' ? 'otlp.json' : format;
    const file = await writeNewFile(exportFolder(process.env), name, extension, text);
    const count = rows === undefined ? '' : `${withSeparators(rows)} rows, `;
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
