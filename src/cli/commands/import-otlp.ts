import { withSeparators } from '../../core/format/number.js';
import { ConsoleError, exitCodes } from '../../db/errors.js';
import { importTelemetry, type TelemetryImport } from '../../ingest/otlp/import-files.js';
import { Prices } from '../../ingest/prices.js';
import { Recorder } from '../../ingest/recorder.js';
import { defineCommand } from '../command.js';
import { confirmImport } from './import.js';
import { ensureSchema } from '../ensure-schema.js';
import { factLines } from '../run-action.js';
import { safeJson, safeText } from '../safe-text.js';

export const command = defineCommand({
  name: 'import otlp',
  summary: 'bring in traces and logs of OpenTelemetry from files',
  usage: 'FILE… [--dry-run] [--yes] [--json]',
  description: [
    'Reads OTLP export requests: one JSON a line, as the file exporter of the OpenTelemetry Collector writes them, one',
    'JSON, or protobuf. Secrets are taken out before anything is written. Run again it changes nothing. Into the',
    'embedded database it writes at once; into a server only with --yes.',
    '',
    'With --json: {"files", "requests", "spans", "logs", "metrics", "rejected", "unknown", "skippedLines",',
    '"written": {TABLE: rows}, "unchanged"}.',
  ].join('\n'),
  flags: {
    dryRun: { type: 'boolean', description: 'read and count, and write nothing' },
    yes: { type: 'boolean', description: 'do not ask; needed to write to a server' },
  },
  inputs: 1_000,
  examples: [
    'trace-console import otlp traces.jsonl',
    'trace-console import otlp traces.jsonl logs.jsonl --dry-run --json',
  ],
  async run(context) {
    const { flags, input, print, openDatabase, signal } = context;
    if (input.length === 0) {
      throw new ConsoleError('usage', 'Which files?', { hint: 'trace-console import otlp FILE…' });
    }
    if (!flags.dryRun) await ensureSchema(context);
    const database = await openDatabase();
    if (!flags.dryRun) await confirmImport(context, database, false);
    const recorder = flags.dryRun ? undefined : new Recorder(database, { prices: new Prices() });
    const { written, ...counts } = await importTelemetry(input, { database, recorder, signal });
    if (flags.json) {
      const { rows, unchanged } = written;
      const dryRun = flags.dryRun ? { dryRun: true } : {};
      print(safeJson({ ...counts, written: rows, unchanged, ...dryRun }, 2));
    } else
      for (const line of resultLines({ written, ...counts }, flags.dryRun)) print(safeText(line));
    return signal.aborted ? exitCodes.notGood : exitCodes.good;
  },
});

function resultLines(result: TelemetryImport, dryRun: boolean): string[] {
  const { written } = result;
  const count = withSeparators;
  const rows = Object.values(written.rows).reduce((sum, n) => sum + n, 0);
  const some = (label: string, value: number) =>
    value === 0 ? [] : [{ label, value: count(value) }];
  return [
    dryRun ? 'Read, nothing written:' : 'Imported:',
    ...factLines([
      { label: 'files', value: count(result.files) },
      { label: 'spans', value: count(result.spans) },
      { label: 'log records', value: count(result.logs) },
      ...some('metrics, not kept', result.metrics),
      ...some('without id or time', result.rejected),
      ...some('unknown logs', result.unknown),
      ...some('skipped lines', result.skippedLines),
      ...(dryRun
        ? []
        : [
            {
              label: 'rows written',
              value: `${count(rows)}, ${count(written.unchanged)} unchanged`,
            },
          ]),
    ]),
  ];
}
