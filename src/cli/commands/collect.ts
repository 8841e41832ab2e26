import fs from 'node:fs';
import { counted, formatBytes } from '../../core/format/number.js';
import { resolveSource } from '../../db/connection/source.js';
import type { Database } from '../../db/database.js';
import { ConsoleError, exitCodes } from '../../db/errors.js';
import { ensurePrivateFolder } from '../../embedded/index.js';
import { Collector, launchdPlist, systemdUnit } from '../../ingest/collector/collector.js';
import { TranscriptFollower } from '../../ingest/collector/follow-transcripts.js';
import {
  collectorOf,
  type CollectorStatus,
  promiseCollector,
  statusOf,
  reportFailure,
  reportOf,
  targetOf,
  ownSpool,
  silenceOf,
} from '../../ingest/collector/status-file.js';
import { recordWriter } from '../../ingest/collector/write-records.js';
import { staleAfterMs } from '../../ingest/import.js';
import { SpanFlusher } from '../../ingest/otlp/staging.js';
import { Prices } from '../../ingest/prices.js';
import { Recorder } from '../../ingest/recorder.js';
import { forSpool } from '../../ingest/spool/append.js';
import { defineCommand, type CommandContext, type FlagDeclarations } from '../command.js';
import {
  beginMetrics,
  openReceiver,
  refusedFacts,
  refusedText,
  type TelemetryFlags,
} from '../collect-telemetry.js';
import { ensureSchema } from '../ensure-schema.js';
import { safeJson, safeText } from '../safe-text.js';
import { formatAge } from '../../core/format/time.js';

/** A collector that a hook or the console has started ends when nothing has come for so long (ms). */
const idleExitMs = 15 * 60_000;

/** How long (ms) a collector in the background waits before it tries to open its database again. */
const reopenMs = 5_000;

export const command = defineCommand({
  name: 'collect',
  summary: 'bring what the hooks of agents have told into the database, and go on doing so',
  usage: '[--once | --listen HOST:PORT] [--metrics-to URL] [--service [--manager NAME]] [--json]',
  description: [
    'Reads the spool that the hooks write into, and writes traces. One process a spool: where another is',
    'at it, nothing is done. How far it has read is written with the rows, so that an event is in the',
    'database once, whatever is killed. A database that is away is waited for.',
    '',
    'With --listen it also takes OpenTelemetry over HTTP (/v1/traces, /v1/logs, /v1/metrics): of this machine',
    'only, unless TRACE_CONSOLE_LISTEN_TOKEN is set, which senders then give as a bearer token. [collect] listen of',
    'the config file says the same for every collector, also one that a hook starts; that one then stays.',
    'HOST:PORT is also :PORT or PORT, on 127.0.0.1. --listen goes on until it is ended: not together with --once.',
    'With --tls-cert and --tls-key senders come by https. With --metrics-to what "metrics" prints is sent, too.',
    '',
    'Writes to the database that the flags name, else the environment, else [collect] connection of the',
    "config file, else the embedded one. Hooks start it by themselves, without the agent's environment.",
    '',
    'With --json, at the end: {"ok", "state", "target", "records", "torn", "quarantined", "lastEvents"}.',
  ].join('\n'),
  printsFile: ({ service }) => service,
  flags: {
    once: { type: 'boolean', description: 'write what is there now, and end; not with --listen' },
    listen: {
      type: 'string',
      value: 'HOST:PORT',
      description: 'take OpenTelemetry over HTTP there, for example 127.0.0.1:4318',
    },
    tlsCert: {
      type: 'string',
      value: 'FILE',
      description: 'PEM of the certificate, with its chain, for --listen',
    },
    tlsKey: { type: 'string', value: 'FILE', description: 'PEM of its key' },
    metricsTo: {
      type: 'string',
      value: 'URL',
      description: 'send metrics by OTLP over HTTP there, again and again',
    },
    metricsEvery: {
      type: 'string',
      value: 'TIME',
      description: 'how often; default 60s',
    },
    service: {
      type: 'boolean',
      description: 'print a systemd user unit, or a launchd agent on macOS, and end',
    },
    manager: {
      type: 'string',
      value: 'NAME',
      description: 'for --service: systemd or launchd; default: what this machine has',
    },
    background: {
      type: 'boolean',
      description: 'print nothing, and end when nothing has come for 15 minutes: what hooks start',
    },
  },
  examples: [
    'trace-console collect',
    'trace-console collect --once --json',
    'trace-console collect --listen 127.0.0.1:4318',
    'trace-console collect --service > ~/.config/systemd/user/trace-console-collect.service',
  ],
  async run(context) {
    const { flags, print, note, signal } = context;
    if (flags.manager !== undefined && !flags.service)
      throw new ConsoleError('usage', '--manager says what --service prints: give both.');
    if (flags.service) {
      print(serviceText(context));
      return exitCodes.good;
    }
    const folder = ownSpool();
    ensurePrivateFolder(folder, forSpool);
    const holder = collectorOf(folder);
    if (holder !== undefined) {
      if (flags.background) return exitCodes.good;
      throw runsAlready(holder.pid);
    }
    if (!flags.once) promiseCollector(folder, process.pid);
    let known: Database | undefined;
    const { receiver, listen, refused } = await openReceiver(context, folder, () => known);
    const stopMetrics = beginMetrics(context, folder, () => known);
    const opened = await openTarget(context).catch(async (error: unknown) => {
      stopMetrics();
      await receiver?.close();
      if (flags.background) {
        reportFailure(folder, error instanceof Error ? error.message : String(error));
      }
      throw error;
    });
    try {
      const { database } = opened;
      known = database;
      const recorder = new Recorder(database, { prices: new Prices() });
      const follower = new TranscriptFollower(database, recorder);
      const flusher = new SpanFlusher(database, recorder, { waits: !flags.once });
      const collector = Collector.open({
        database,
        folder,
        signal,
        write: recordWriter(database, recorder),
        follow: async (records) => {
          const hasRead = await follower.round(records);
          return (await flusher.round()) !== undefined || hasRead;
        },
        closeStale: async () => {
          while ((await recorder.closeStale(staleAfterMs)) >= 100);
        },
        target: targetOf(database),
        listen,
        refused,
        // Senders of telemetry do not start a collector, so it must not end by itself.
        idleExitMs: flags.background && receiver === undefined ? idleExitMs : undefined,
        onProgress: flags.background ? undefined : (status) => note(safeText(progressLine(status))),
      });
      if (collector === undefined) {
        // Another one began meanwhile.
        if (flags.background) return exitCodes.good;
        throw runsAlready(collectorOf(folder)?.pid);
      }
      const status = await (flags.once ? collector.once() : collector.follow());
      if (flags.json) print(safeJson({ ok: true, ...summaryOf(status) }, 2));
      else if (!flags.background) print(safeText(summaryLine(status)));
      return exitCodes.good;
    } finally {
      stopMetrics();
      await receiver?.close();
      await opened.close();
    }
  },
});

/** @param pid of the collector; undefined: it has just ended */
const runsAlready = (pid: number | undefined): ConsoleError =>
  new ConsoleError(
    'busy',
    pid === undefined
      ? 'Another collector had the spool until now.'
      : `A collector runs already (process ${pid}).`,
    { hint: 'trace-console collect status says what it does.' },
  );

type Context = CommandContext<FlagDeclarations> & {
  flags: TelemetryFlags & {
    background: boolean;
    connection?: string | undefined;
    manager?: string | undefined;
  };
};

/** The database, with its schema; in the background waited for. */
async function openTarget(
  context: Context,
): Promise<{ database: Database; close: () => Promise<void> }> {
  for (;;) {
    try {
      const opened = await openOnce(context);
      await ensureSchema({
        openDatabase: () => Promise.resolve(opened.database),
        note: context.note,
      });
      return opened;
    } catch (error) {
      const waits = !context.flags.once && isAway(error) && !context.signal.aborted;
      if (!waits) throw error;
      context.note(safeText(`waiting: ${error.message}`));
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, reopenMs);
        context.signal.addEventListener(
          'abort',
          () => {
            clearTimeout(timer);
            resolve(undefined);
          },
          { once: true },
        );
      });
    }
  }
}

const isAway = (error: unknown): error is ConsoleError =>
  error instanceof ConsoleError && error.exitCode === exitCodes.cannotConnect;

async function openOnce(
  context: Context,
): Promise<{ database: Database; close: () => Promise<void> }> {
  const { settings, flags, openDatabase, connections } = context;
  const { collectConnection } = settings;
  const isNamed = flags.connection ?? flags.url ?? flags.envFile ?? flags.dataDir;
  const fromConfig =
    collectConnection !== undefined &&
    isNamed === undefined &&
    !flags.demo &&
    resolveSource().kind === 'embedded';
  // The context closes what it has opened.
  if (!fromConfig) return { database: await openDatabase(), close: () => Promise.resolve() };
  const choice = connections().find(({ name }) => name === collectConnection);
  if (choice === undefined)
    throw new ConsoleError('usage', `There is no connection "${collectConnection}".`);
  const database = await choice.open(context.note);
  return { database, close: () => database.close() };
}

/** The flags that name the database are passed on; a URL is not, since everybody may read a unit. */
function serviceText({ flags }: Context): string {
  if (flags.url !== undefined) {
    throw new ConsoleError(
      'usage',
      'A service does not take --url: its file would show the password.',
      {
        hint: 'Name the connection in the config file, and give --connection NAME.',
      },
    );
  }
  const passed = (
    [
      ...(['connection', 'config', 'envFile', 'dataDir', 'schema', 'listen'] as const),
      ...(['tlsCert', 'tlsKey', 'metricsTo', 'metricsEvery'] as const),
    ] as const
  ).flatMap((name) => {
    const value = (flags as Record<string, unknown>)[name];
    return typeof value === 'string'
      ? [`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, value]
      : [];
  });
  const program = fs.realpathSync(process.argv[1] ?? '');
  const service = { program: process.execPath, args: [program, 'collect', ...passed] };
  const manager = flags.manager ?? (process.platform === 'darwin' ? 'launchd' : 'systemd');
  if (manager === 'launchd') return launchdPlist(service);
  if (manager === 'systemd') return systemdUnit(service);
  throw new ConsoleError('usage', `A service of "${manager}" is not known.`, {
    hint: 'Give --manager systemd or --manager launchd.',
  });
}

function progressLine({ state, reason, records, quarantined }: CollectorStatus): string {
  const counts = `${counted(records, 'event')}${quarantined > 0 ? `, ${quarantined} put aside` : ''}`;
  return state === 'waiting' ? `waiting    ${reason ?? ''}` : `${state.padEnd(10)} ${counts}`;
}

function summaryOf({ state, target, records, torn, quarantined, lastEvents }: CollectorStatus) {
  return { state, target, records, torn, quarantined, lastEvents };
}

function summaryLine({ records, torn, quarantined, target }: CollectorStatus): string {
  const aside = quarantined > 0 ? `, ${quarantined} put aside` : '';
  const cut = torn > 0 ? `, ${torn} cut by a killed hook` : '';
  return `${counted(records, 'event')} written to ${target}${aside}${cut}`;
}

const asideText = (count: number): string | undefined =>
  count > 0 ? `${count} events: SELECT * FROM trace_console.quarantined_events` : undefined;

export const collectStatusCommand = defineCommand({
  name: 'collect status',
  summary: 'say whether the collector runs, what waits in the spool, and when events came last',
  usage: '[--json]',
  description: [
    'Reads the spool only, no database. Exit code 1 when the collector waits for its database, could not begin or',
    'does not answer, when it has put events aside, or when the spool was full.',
    '',
    'With --json: {"ok", "running", "pid", "state", "reason", "target", "listen", "refused": {STATUS: {"count", "last"}},',
    '"records", "torn", "quarantined", "asideReason", "waiting": {"events", "bytes", "dropped"}, "lastEvents": {CLI: time},',
    '"spool"}.',
  ].join('\n'),
  flags: {},
  examples: ['trace-console collect status --json'],
  run({ flags, print }) {
    const folder = ownSpool();
    const holder = collectorOf(folder);
    // One that has just begun, or hangs as it begins, has not said anything yet: what is there is of the one before.
    const status = statusOf(folder, holder?.pid);
    const { waiting, lastEvents: last } = reportOf(folder);
    const silence = silenceOf(folder);
    const running = silence ? 'does not answer' : (status?.state ?? 'starting');
    const state = holder === undefined ? 'not running' : running;
    const listen = holder === undefined ? undefined : status?.listen;
    const ok =
      silence === undefined &&
      status?.reason === undefined &&
      (status?.quarantined ?? 0) === 0 &&
      waiting.dropped === 0 &&
      !(listen && 'problem' in listen);
    if (flags.json) {
      const { reason = null, target = null, records = 0, torn = 0, quarantined = 0 } = status ?? {};
      const facts = {
        ...{ ok, running: holder !== undefined, pid: holder?.pid ?? null, state },
        ...{ reason, target, listen: listen ?? null, refused: refusedFacts(status?.refused) },
        ...{ records, torn, quarantined, asideReason: status?.asideReason ?? null, waiting },
        ...{ lastEvents: Object.fromEntries(last), spool: folder },
      };
      print(safeJson(facts, 2));
      return Promise.resolve(ok ? exitCodes.good : exitCodes.notGood);
    }
    const fields: [string, string | undefined][] = [
      [
        'Collector',
        holder === undefined
          ? 'not running; the next event of a hook starts it'
          : `${state}, process ${holder.pid}`,
      ],
      ['Silent', silence && `for ${formatAge(silence.ms)}. ${silence.fix}`],
      [holder === undefined ? 'Ended because' : 'Waits for', status?.reason],
      ['Database', status?.target],
      ['Telemetry', listen && ('url' in listen ? `taken on ${listen.url}` : listen.problem)],
      ['Refused', refusedText(status?.refused)],
      ['Written', status && `${counted(status.records, 'event')} since it started`],
      ['Put aside', asideText(status?.quarantined ?? 0)],
      ['Because', status?.asideReason],
      ['Waiting', `${counted(waiting.events, 'event')}, ${formatBytes(waiting.bytes)}`],
      [
        'Dropped',
        waiting.dropped > 0
          ? `${counted(waiting.dropped, 'event')}, while the spool was full`
          : undefined,
      ],
      ['Spool', folder],
      ...[...last].map(([cli, at]): [string, string] => [
        `Last of ${cli}`,
        `${formatAge(Date.now() - at.getTime())} ago`,
      ]),
    ];
    for (const [name, value] of fields) {
      if (value !== undefined) print(safeText(`${name.padEnd(18)} ${value}`));
    }
    return Promise.resolve(ok ? exitCodes.good : exitCodes.notGood);
  },
});
