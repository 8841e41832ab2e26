import { openMetricsText, openMetricsType } from '../core/format/open-metrics.js';
import { withSeparators } from '../core/format/number.js';
import type { Database } from '../db/database.js';
import { configLocation, readTextFile, whyUnreadable } from '../core/folders.js';
import { ConsoleError } from '../db/errors.js';
import {
  type CollectorStatus,
  noteRefusal,
  type Refused,
} from '../ingest/collector/status-file.js';
import { given, readNumber } from '../core/values.js';
import { type ListenAddress, OtlpReceiver } from '../ingest/otlp/receiver.js';
import { textOf } from '../ingest/install/settings-file.js';
import { readMetrics } from '../panes/export/metrics.js';
import { metricsEvery, metricsUrl, sendMetricsEvery } from '../panes/export/send-metrics.js';
import type { Settings, TlsFiles } from './config/settings.js';
import { safeText } from './safe-text.js';

/** What durations, tokens and cost on /metrics are of (ms). */
const metricsWindowMs = 3_600_000;

/** How often (ms) certificate and key are read again. */
const renewEveryMs = 3_600_000;

export type TelemetryFlags = {
  once: boolean;
  listen?: string | undefined;
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
  metricsTo?: string | undefined;
  metricsEvery?: string | undefined;
};

type TelemetryContext = {
  flags: TelemetryFlags;
  settings: Settings;
  note: (text: string) => void;
};

/**
 * `HOST:PORT`, `:PORT` or `PORT`, the host 127.0.0.1 unless given.
 *
 * @throws ConsoleError `usage`
 */
export function listenAddress(text: string): ListenAddress {
  const [, host = '', port = ''] = /^(?:(.*):)?(\d{1,5})$/.exec(text) ?? [];
  const number = readNumber(port);
  if (port === '' || number > 65_535) {
    throw new ConsoleError('usage', `--listen does not understand "${text}".`, {
      hint: 'HOST:PORT, for example 127.0.0.1:4318.',
    });
  }
  return { host: host.replace(/^\[(.*)\]$/, '$1') || '127.0.0.1', port: number };
}

type Receiving = {
  receiver: OtlpReceiver | undefined;
  /** What it did not take until now. */
  refused: Refused;
  listen?: NonNullable<CollectorStatus['listen']>;
};

/**
 * What takes telemetry, where that is asked for. It fills the spool also while the database is waited for. Where only the
 * config file asks for it, hooks are collected all the same if it cannot be had.
 */
export async function openReceiver(
  { flags, settings, note }: TelemetryContext,
  folder: string,
  database: () => Database | undefined,
): Promise<Receiving> {
  const asked = flags.listen ?? (flags.once ? undefined : settings.collectListen);
  const refused: Refused = {};
  if (asked === undefined) return { receiver: undefined, refused };
  if (flags.once) {
    throw new ConsoleError('usage', 'Either --once or --listen.', {
      hint: 'With --listen it goes on until it is ended.',
    });
  }
  try {
    const { host, port } = listenAddress(asked);
    const token = listenToken();
    const metrics = () => metricsText(database(), folder);
    const files = tlsFiles(flags, settings);
    const tls = files && readTls(files);
    const onRefused = (reason: string, message: string) => {
      const { count, isQuiet } = noteRefusal(refused, reason);
      if (!isQuiet) note(safeText(`refused    ${reason}, ${count} until now: ${message}`));
    };
    const receiver = await OtlpReceiver.open({
      ...{ host, port, token, folder, metrics, tls, onRefused },
    });
    if (files) renewAtTimes(receiver, files);
    const url = urlOf(host, receiver.port, tls !== undefined);
    note(safeText(`listening  OTLP on ${url}`));
    return { receiver, refused, listen: { url } };
  } catch (error) {
    if (flags.listen !== undefined || !(error instanceof ConsoleError)) throw error;
    note(safeText(`listening  ${error.message}`));
    return { receiver: undefined, refused, listen: { problem: error.message } };
  }
}

/** @throws ConsoleError `usage` for one that no header can carry: nobody would ever be let in */
function listenToken(): string | undefined {
  const token = given(process.env.TRACE_CONSOLE_LISTEN_TOKEN);
  if (token === undefined || /^[!-~](?:[ -~]*[!-~])?$/.test(token)) return token;
  throw new ConsoleError(
    'usage',
    'TRACE_CONSOLE_LISTEN_TOKEN has characters that no header carries.',
    { hint: 'Take letters, digits and signs of ASCII; openssl rand -hex 32 makes one.' },
  );
}

/**
 * Where the collector listens by the config file, for hooks that post to it.
 *
 * @param usual where none is configured
 * @throws ConsoleError `usage` where it asks for a token, which these hooks do not carry
 */
export function postAddress(settings: Settings, usual: string): string {
  if (given(process.env.TRACE_CONSOLE_LISTEN_TOKEN) !== undefined) {
    throw new ConsoleError(
      'usage',
      'TRACE_CONSOLE_LISTEN_TOKEN is set: the collector asks for a token, which hooks that post do not carry.',
      { hint: 'Without --http each event starts a small program, which needs none.' },
    );
  }
  return reachedAt(settings, usual);
}

/**
 * Where programs of this machine reach the collector by the config file.
 *
 * @param usual where none is configured
 * @returns such as `http://127.0.0.1:4318`
 */
export function reachedAt({ collectListen, collectTls }: Settings, usual: string): string {
  const { host, port } = listenAddress(collectListen ?? usual);
  const reached = ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host;
  return urlOf(reached, port, collectTls !== undefined);
}

const urlOf = (host: string, port: number, isTls: boolean): string =>
  `http${isTls ? 's' : ''}://${host.includes(':') ? `[${host}]` : host}:${port}`;

/**
 * How the config file makes the collector listen: where to add what, and then the lines themselves, as they are to be pasted.
 *
 * @param flag the value of `--config`
 */
export function listenLines(flag: string | undefined, address: string): string[] {
  const { file } = configLocation(flag) ?? {};
  const line = `  listen = "${address}"`;
  if (file === undefined) return ['in the config file (--config FILE):', '  [collect]', line];
  const hasTable = /^[ \t]*\[[ \t]*collect[ \t]*\]/m.test(textOf(file) ?? '');
  return hasTable
    ? [`in ${file}, in the line below [collect]:`, line]
    : [`at the end of ${file}:`, '  [collect]', line];
}

/** @throws ConsoleError `usage` for one without the other */
function tlsFiles(
  { tlsCert: cert, tlsKey: key }: TelemetryFlags,
  settings: Settings,
): TlsFiles | undefined {
  if (cert === undefined && key === undefined) return settings.collectTls;
  if (cert !== undefined && key !== undefined) return { cert, key };
  throw new ConsoleError('usage', 'TLS needs --tls-cert and --tls-key.', {
    hint: 'Both are PEM files: the certificate with its chain, and its key.',
  });
}

/** @throws ConsoleError `file_failed` */
function readTls({ cert, key }: TlsFiles): { cert: string; key: string } {
  const read = (file: string) => {
    try {
      return readTextFile(file);
    } catch (cause) {
      const message = `${file} cannot be read${whyUnreadable(cause)}.`;
      throw new ConsoleError('file_failed', message, { cause });
    }
  };
  return { cert: read(cert), key: read(key) };
}

/** A certificate is renewed while the collector runs. */
function renewAtTimes(receiver: OtlpReceiver, files: TlsFiles): void {
  setInterval(() => {
    try {
      receiver.renew(readTls(files));
    } catch {
      // The files were just being replaced: the receiver keeps the certificate that it has.
    }
  }, renewEveryMs).unref();
}

/** Sends metrics, where that is asked for. @returns what stops it */
export function beginMetrics(
  { flags, settings, note }: TelemetryContext,
  spool: string,
  database: () => Database | undefined,
): () => void {
  const { collectMetrics } = settings;
  const to = flags.metricsTo ?? collectMetrics?.url;
  if (to === undefined || flags.once) return () => undefined;
  const everyMs =
    flags.metricsEvery === undefined && collectMetrics !== undefined
      ? collectMetrics.everyMs
      : metricsEvery(flags.metricsEvery);
  if (everyMs === undefined) {
    throw new ConsoleError('usage', '--metrics-every takes a time of 10 seconds or more.', {
      hint: 'A number and a unit: 60s, 5m.',
    });
  }
  const read = async () => {
    const known = database();
    if (known === undefined) return undefined;
    const metrics = await readMetrics(known, { windowMs: metricsWindowMs, spool });
    return { metrics, windowMs: metricsWindowMs };
  };
  const url = metricsUrl(to, '--metrics-to');
  return sendMetricsEvery(everyMs, url, read, (problem) => note(safeText(`metrics    ${problem}`)));
}

/** @throws ConsoleError */
async function metricsText(database: Database | undefined, spool: string) {
  if (database === undefined) {
    throw new ConsoleError('connection_lost', 'The database is waited for.');
  }
  const metrics = await readMetrics(database, { windowMs: metricsWindowMs, spool });
  return { type: openMetricsType, text: openMetricsText(metrics) };
}

/** As JSON has it. */
export const refusedFacts = (refused: Refused = {}) =>
  Object.fromEntries(
    Object.entries(refused).map(([reason, { count, last }]) => [reason, { count, last }]),
  );

/** Such as `3 × 401 (last 13:05:11), 1 × gRPC (last 12:00:00)`. */
export function refusedText(refused: Refused = {}): string | undefined {
  const all = Object.entries(refused).map(
    ([reason, { count, last }]) =>
      `${withSeparators(count)} × ${reason} (last ${new Date(last).toTimeString().slice(0, 8)})`,
  );
  return all.length === 0 ? undefined : all.join(', ');
}
