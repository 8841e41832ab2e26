import { exportFolder } from '../../panes/export/write-new-file.js';
import { safeLine } from '../../terminal/sanitise.js';
import { innerWidth } from '../draw/box.js';
import { dialogWidth, writer } from '../draw/dialog.js';
import { bodyOf, type Model } from '../model/model.js';
import type { ConsoleApp } from '../app/console-app.js';
import type { ExportView } from '../model/views.js';
import type { Theme } from '../theme.js';
import { Dialog } from './dialog.js';

type Props = { app: ConsoleApp; view: ExportView; model: Model; theme: Theme };

/** In which form the rows are written, and where to. */
export function ExportDialog({ app, view, model, theme }: Props) {
  const { title, formats, name } = view.exportable;
  const write = writer(theme, innerWidth(dialogWidth(bodyOf(model.size))));
  const body = [
    ...write(safeLine(title)),
    ...write(`to a new file ${name}.… in ${safeLine(exportFolder(process.env))}`, 'muted'),
    ...write(''),
    ...write(`${app.keys.keyOf('exportCsv')}: CSV, for spreadsheets`),
    ...write(`${app.keys.keyOf('exportJson')}: JSON`),
    ...(formats.otlp
      ? write(`${app.keys.keyOf('exportOtlp')}: OTLP, for collectors and trace viewers`)
      : []),
    ...write('Esc: back'),
  ];
  return <Dialog title="Write to a file" body={body} look="frame" model={model} theme={theme} />;
}
