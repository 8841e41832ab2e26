import os from 'node:os';
import { parseDuration } from '../../core/format/time.js';
import { openMetricsText } from '../../core/format/open-metrics.js';
import { ConsoleError, exitCodes } from '../../db/errors.js';
import { spoolFolder } from '../../ingest/spool/append.js';
import { readMetrics } from '../../panes/export/metrics.js';
import { metricsUrl, sendMetrics } from '../../panes/export/send-metrics.js';
import { defineCommand } from '../command.js';

const defaultWindow = '1h';

export const command = defineCommand({
  name: 'metrics',
  summary: 'print what the panes know as OpenMetrics, or send it by OTLP',
  usage: '[--window 1h] [--to URL]',
  description: [
    'Traces by status, durations of traces, hooks, tools and calls as histograms, tokens and cost by model, sizes of tables',
    'and indexes, what is due for the archive, and the spool of this user. Names of tools, hooks, services and models: the 20',
    'that are used most, the others as one.',
    '',
    'For the textfile collector of the node exporter, from cron: write to a file beside it, and rename that. "collect',
    '--listen" serves the same on /metrics. With --to it is sent as an OTLP/HTTP request to URL/v1/metrics, with the headers of',
    'OTEL_EXPORTER_OTLP_HEADERS; "collect --metrics-to" does so every minute.',
  ].join('\n'),
  printsFile: ({ to }) => to === undefined,
  flags: {
    window: {
      type: 'string',
      value: 'TIME',
      description: 'what durations, tokens and cost are of; default 1h',
    },
    to: {
      type: 'string',
      value: 'URL',
      description: 'send it there, for example http://127.0.0.1:4318',
    },
  },
  examples: [
    'trace-console metrics > trace_console.prom.new && mv trace_console.prom.new trace_console.prom',
    'trace-console metrics --to http://collector:4318',
  ],
  async run({ flags, openDatabase, print, note }) {
    const windowMs = parseDuration(flags.window ?? defaultWindow);
    if (windowMs === undefined || windowMs <= 0) {
      throw new ConsoleError('usage', `--window does not understand "${flags.window ?? ''}".`, {
        hint: 'A number and a unit: 15m, 1h, 1d.',
      });
    }
    const url = flags.to === undefined ? undefined : metricsUrl(flags.to, '--to');
    const database = await openDatabase();
    const spool = spoolFolder(process.env, os.homedir);
    const metrics = await readMetrics(database, { windowMs, spool });
    if (url === undefined) {
      print(openMetricsText(metrics).trimEnd());
      return exitCodes.good;
    }
    await sendMetrics(url, metrics, windowMs);
    note(`sent ${metrics.length} metrics to ${url.host}`);
    return exitCodes.good;
  },
});
