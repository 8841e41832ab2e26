import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { promisify } from 'node:util';
import { isNoSpace } from '../../core/folders.js';
import { readNumber } from '../../core/values.js';
import { ConsoleError } from '../../db/errors.js';
import { frameOf } from '../hook/record.js';
import { type AgentId, agentIds, hookPath } from '../install/agent.js';
import { appendFrame, forSpool, spoolLimit, waitingBytes } from '../spool/append.js';
import { ensurePrivateFolder } from '../../embedded/index.js';
import { signals, type Signal, type Telemetry } from './decode.js';
import {
  contentTypes,
  decoded,
  encodingOf,
  framesOf,
  Refusal,
  refuseTooMany,
  resultOf,
  telemetryRecords,
  unpacked,
} from './records.js';

/** Bytes of a request as it is sent. */
const mostSent = 16 << 20;

/** Bytes of requests that are read at a time; with more of them, senders are asked to come again. */
const mostBuffered = 64 << 20;
const mostConnections = 1_024;

/** A request takes no longer (ms), and neither does a connection without one; looked at so often. */
const slowest = 20_000;
const lookEveryMs = 5_000;

/** How long (ms) more of a request that is refused may come. */
const lingerMs = 5_000;

/** Seconds after which a sender may try again. */
const retryAfter = { busy: 1, full: 5 };

export type ListenAddress = { host: string; port: number };

export type ReceiverTls = { cert: string; key: string };

export type ReceiverOptions = ListenAddress & {
  folder: string;
  /** What a sender must give as `Authorization: Bearer TOKEN`. */
  token?: string | undefined;
  /** PEM of a certificate with its chain, and its key: it is HTTPS then. */
  tls?: ReceiverTls | undefined;
  /** With so much in the spool nothing more is taken (bytes). */
  limitBytes?: number | undefined;
  /** What `GET /metrics` answers; without it there is nothing. */
  metrics?: (() => Promise<{ type: string; text: string }>) | undefined;
  /** Hears of each request that is not taken: its status, or `gRPC`, and what the sender was told. */
  onRefused?: ((reason: string, message: string) => void) | undefined;
};

/** @throws ConsoleError `usage` where certificate and key are none, or of two different pairs */
function withTls<Result>(open: () => Result): Result {
  try {
    return open();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConsoleError('usage', `TLS cannot begin with this certificate and key: ${reason}.`, {
      hint: 'Both are PEM files: the certificate with its chain, and the key of that certificate.',
      cause,
    });
  }
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);

/**
 * Takes OTLP over HTTP into the spool. What was answered with 200 is on disk; the rest is the sender's to send again.
 */
export class OtlpReceiver {
  readonly #options: ReceiverOptions;
  readonly #server: http.Server | https.Server;
  #buffered = 0;
  /** One request is unpacked at a time: what it grows to is what takes the memory. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(options: ReceiverOptions) {
    this.#options = options;
    const timeouts = {
      requestTimeout: slowest,
      headersTimeout: slowest,
      keepAliveTimeout: slowest,
      connectionsCheckingInterval: lookEveryMs,
    };
    const serve: http.RequestListener = (request, response) => {
      void this.#serve(request, response);
    };
    const { tls } = options;
    this.#server =
      tls === undefined
        ? http.createServer(timeouts, serve)
        : https.createServer({ ...timeouts, ...tls, handshakeTimeout: slowest }, serve);
    this.#server.maxConnections = mostConnections;
    this.#server.on('clientError', (error, socket) => {
      this.#refuseUnread(error, socket);
    });
  }

  /** @throws ConsoleError `usage` for an address of others without token and TLS, `busy` for one that is taken */
  static async open(options: ReceiverOptions): Promise<OtlpReceiver> {
    const { host, port, token, tls, folder } = options;
    if (!isLoopback(host) && token === undefined && tls === undefined) {
      throw new ConsoleError('usage', `Others could write to ${host} without a token.`, {
        hint: 'Set TRACE_CONSOLE_LISTEN_TOKEN, which senders give as "Authorization: Bearer TOKEN", or give --tls-cert and --tls-key.',
      });
    }
    ensurePrivateFolder(folder, forSpool);
    const receiver = withTls(() => new OtlpReceiver(options));
    const server = receiver.#server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.removeListener('error', reject);
        resolve();
      });
    }).catch((cause: unknown) => {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ConsoleError('busy', `Cannot listen on ${host}:${port}: ${reason}.`, {
        hint: 'Another program may have the port; choose one with --listen HOST:PORT.',
        cause,
      });
    });
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /**
   * Takes a renewed certificate; connections that are open keep theirs.
   *
   * @throws Error for a pair that does not fit
   */
  renew(tls: ReceiverTls): void {
    if (this.#server instanceof https.Server) this.#server.setSecureContext(tls);
  }

  async close(): Promise<void> {
    const closed = promisify(this.#server.close.bind(this.#server))();
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const answer = await this.#answer(request).catch((error: unknown) =>
      error instanceof Refusal ? error : new Refusal(500, 'The request could not be stored.'),
    );
    if (response.destroyed) return;
    if (answer instanceof Refusal) {
      this.#options.onRefused?.(String(answer.status), answer.message);
      const text = Buffer.from(`${answer.message}\n`);
      response.writeHead(answer.status, {
        'content-type': 'text/plain; charset=utf-8',
        'content-length': text.length,
        connection: 'close',
        ...(answer.retryAfter === undefined ? {} : { 'retry-after': String(answer.retryAfter) }),
      });
      response.write(text);
      await passedOver(request);
      response.end(() => request.destroy());
      return;
    }
    response.writeHead(200, { 'content-type': answer.type });
    response.end(answer.body);
  }

  /** What is no HTTP/1.1, as gRPC; comes too slowly; or has too large a head. */
  #refuseUnread(error: Error & { code?: string; rawPacket?: Buffer }, socket: Duplex): void {
    if (socket.writableEnded) return;
    if (!socket.writable || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const isHttp2 = error.rawPacket?.toString('latin1').startsWith('PRI * HTTP/2') === true;
    const [status, message] = isHttp2 ? notGrpc : (unreadable.get(error.code) ?? noHttp);
    this.#options.onRefused?.(isHttp2 ? 'gRPC' : String(status), message);
    const head = `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\ncontent-type: text/plain; charset=utf-8`;
    const length = `content-length: ${Buffer.byteLength(message) + 1}`;
    socket.end(`${head}\r\n${length}\r\nconnection: close\r\n\r\n${message}\n`);
    setTimeout(() => socket.destroy(), lingerMs).unref();
  }

  async #answer(request: http.IncomingMessage): Promise<{ type: string; body: Buffer }> {
    this.#authorise(request);
    const { metrics } = this.#options;
    if (metrics === undefined || request.method !== 'GET' || !isMetricsPath(request.url)) {
      return this.#answerTo(request);
    }
    const { type, text } = await metrics().catch((error: unknown) => {
      const reason = error instanceof ConsoleError ? error.message : 'The metrics cannot be read.';
      throw new Refusal(503, reason, retryAfter.full);
    });
    return { type, body: Buffer.from(text) };
  }

  async #answerTo(request: http.IncomingMessage): Promise<{ type: string; body: Buffer }> {
    const cli = agentIds.find((id) => hookPath(id) === request.url);
    return cli === undefined ? this.#answerTelemetry(request) : this.#answerHook(request, cli);
  }

  /** An event that an agent posts in place of starting the hook. The agent takes what is answered for an order: it is empty. */
  async #answerHook(request: http.IncomingMessage, cli: AgentId) {
    if (request.method !== 'POST') throw new Refusal(405, 'Events come by POST.');
    // A page in a browser cannot send this type to another address.
    if (encodingOf(request) !== 'json') throw new Refusal(415, 'Events are application/json.');
    const atMs = Date.now();
    const body = await this.#bodyOf(request);
    try {
      const event = this.#last.then(async () => {
        const input = await unpacked(request, body);
        refuseTooMany(input, 'json');
        this.#append([frameOf({ cli, event: undefined, input, atMs }, {})]);
      });
      this.#last = event.catch(() => undefined);
      await event;
      return { type: contentTypes.json, body: Buffer.alloc(0) };
    } finally {
      this.#buffered -= body.length;
    }
  }

  async #answerTelemetry(request: http.IncomingMessage) {
    const signal = signalOf(request);
    const encoding = encodingOf(request);
    const body = await this.#bodyOf(request);
    try {
      const telemetry = this.#last.then(async () => {
        const read = decoded(signal, await unpacked(request, body), encoding);
        this.#store(read);
        return read;
      });
      this.#last = telemetry.catch(() => undefined);
      return {
        type: contentTypes[encoding],
        body: resultOf(await telemetry, signal, encoding),
      };
    } finally {
      this.#buffered -= body.length;
    }
  }

  /** The caller gives back the bytes that it has taken of those that may be read at a time. */
  async #bodyOf(request: http.IncomingMessage): Promise<Buffer> {
    const tooLarge = () => new Refusal(413, `A request holds ${mostSent} bytes at most.`);
    // One beyond 2^53 is no number.
    if (!(readNumber(request.headers['content-length'] ?? '0') <= mostSent)) throw tooLarge();
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      // Destroying the request would take the connection along, and the answer.
      const parts = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
      for await (const chunk of parts) {
        bytes += chunk.length;
        this.#buffered += chunk.length;
        if (bytes > mostSent) throw tooLarge();
        if (this.#buffered > mostBuffered) {
          throw new Refusal(503, 'Too many requests at a time.', retryAfter.busy);
        }
        chunks.push(chunk);
      }
    } catch (error) {
      this.#buffered -= bytes;
      if (error instanceof Refusal) throw error;
      throw new Refusal(400, 'The request broke off.');
    }
    return Buffer.concat(chunks, bytes);
  }

  #authorise(request: http.IncomingMessage): void {
    const { token } = this.#options;
    if (token === undefined) return;
    const { authorization } = request.headers;
    if (authorization === undefined) throw new Refusal(401, noToken);
    const given = /^Bearer (.+)$/i.exec(authorization)?.[1] ?? '';
    const digest = (text: string) => createHash('sha256').update(text).digest();
    if (!timingSafeEqual(digest(given), digest(token)))
      throw new Refusal(401, 'The token is wrong.');
  }

  #store(telemetry: Telemetry): void {
    const records = telemetryRecords(telemetry, Date.now());
    if (records.length > 0) this.#append(framesOf(records));
  }

  #append(all: Iterable<Buffer>): void {
    const { folder, limitBytes = spoolLimit(process.env) } = this.#options;
    const full = () =>
      new Refusal(429, 'The spool is full: the database is behind.', retryAfter.full);
    const ofSpool = <Result>(work: () => Result): Result => {
      try {
        return work();
      } catch (error) {
        // SDKs send again what is answered 503, and drop it at 500: there may be room again, or the right to write.
        throw new Refusal(503, `The spool cannot be written: ${reasonOf(error)}.`, retryAfter.full);
      }
    };
    if (ofSpool(() => waitingBytes(folder)) >= limitBytes) throw full();
    for (const frames of all) {
      if (ofSpool(() => appendFrame(folder, frames, limitBytes)) === 'full') throw full();
    }
  }
}

/**
 * Drops what still comes of a refused body, for a while: who writes into a closed connection finds it reset, before the answer
 * was read, and an SDK would send the same again and again.
 */
async function passedOver(request: http.IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return;
  request.resume();
  const signal = AbortSignal.timeout(lingerMs);
  await Promise.race(['end', 'close'].map((event) => once(request, event, { signal }))).catch(
    () => undefined,
  );
}

/** Without the message, which names the spool's path: the sender may be anybody. */
const reasonOf = (error: unknown): string =>
  isNoSpace(error) ? 'the disk is full' : ((error as NodeJS.ErrnoException).code ?? 'an error');

const noToken =
  'No token was given: set OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20TOKEN for the sender.';
const otherPath =
  'OTLP is taken on /v1/traces, /v1/logs, /v1/metrics and / by POST; GET /metrics has metrics.';
const doubledPath =
  'The path is there twice: set OTEL_EXPORTER_OTLP_ENDPOINT to http://HOST:PORT without a path, or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT (LOGS, METRICS) to the whole URL.';

const notGrpc = [
  505,
  'gRPC is not spoken: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf for the sender.',
] as const;
const noHttp = [400, 'This is no request of HTTP/1.1.'] as const;
const unreadable: ReadonlyMap<string | undefined, readonly [status: number, message: string]> =
  new Map([
    ['ERR_HTTP_REQUEST_TIMEOUT', [408, 'The request came too slowly.']],
    ['HPE_HEADER_OVERFLOW', [431, 'The headers are too large.']],
  ]);

const isMetricsPath = (url: string | undefined): boolean => /^\/metrics(?:\?|$)/.test(url ?? '');

/** Undefined: the bare base path, to which some senders post everything. */
function signalOf({ method, url }: http.IncomingMessage): Signal | undefined {
  const path = (url ?? '/').replace(/\?.*$/, '');
  const signal = signals.find((each) => path.replace(/\/$/, '') === `/v1/${each}`);
  if (signal === undefined && path !== '/') {
    throw new Refusal(404, /\/v1\/\w+\/v1\/\w+$/.test(path) ? doubledPath : otherPath);
  }
  if (method !== 'POST') throw new Refusal(405, 'Telemetry comes by POST.');
  return signal;
}
