// The engine's thread: PGlite, and nothing else. It runs one buffer of protocol messages at a time.
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import {
  engineDatabase,
  reasonOf,
  type FromWorker,
  type ToWorker,
  type WorkerData,
} from './messages.js';
import { cString, FrameSplitter, int32, readCString } from '../wire.js';
import { amcheck } from '@electric-sql/pglite/contrib/amcheck';
import { uuid_ossp } from '@electric-sql/pglite/contrib/uuid_ossp';
import { vector } from '@electric-sql/pglite-pgvector';

/**
 * Extensions are pinned when the engine opens: always the same set, or an index of a type that one
 * start knows would break at the next. amcheck costs 4 ms and answers whether a folder is sound.
 */
export const engineExtensions = { vector, uuid_ossp, amcheck };

/**
 * Nothing checkpoints by itself in single-user mode: without limits the write-ahead log grew to
 * 1.9 GB. These bound what a CHECKPOINT of the daemon leaves behind.
 */
export const engineStartParameters = [
  ...PGlite.defaultStartParams,
  '-c',
  'max_wal_size=64MB',
  '-c',
  'min_wal_size=32MB',
  '-c',
  'jit=off',
];

/** Above this the worker waits for the main thread, so that a slow reader does not fill memory. */
const mostBytesInFlight = 8 * 1024 * 1024;

/** The exit status by which PGlite marks an ordinary error (a longjmp to the main loop). */
const ordinaryError = 100;

const { dataFolder, inFlight } = workerData as WorkerData;
const credit = new Int32Array(inFlight);
const port = parentPort;
if (port === null) throw new Error('the engine runs in a worker thread only');

function post(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

function postData(id: number, bytes: Uint8Array): void {
  const copy = bytes.slice();
  Atomics.add(credit, 0, copy.byteLength);
  post({ kind: 'data', id, bytes: copy }, [copy.buffer]);
  for (let held = Atomics.load(credit, 0); held > mostBytesInFlight; held = Atomics.load(credit, 0))
    Atomics.wait(credit, 0, held, 1_000);
}

/** PostgreSQL's own last words: what it throws afterwards is only that it has ended. */
let lastWords: string | undefined;

function listen(line: string): boolean {
  // Lines of other severities may hold a statement's text.
  lastWords = /^[^[]{1,40}\[\d+\] (?:PANIC|FATAL): +(.+)/.exec(line)?.[1] ?? lastWords;
  return false;
}

const whyBroken = (error: unknown): string => lastWords ?? reasonOf(error);

/**
 * PGlite swallows every exception of the main loop, also those that leave the engine broken: a
 * stack overflow, the exit after FATAL, the abort after PANIC. Only the first kind (an ordinary
 * error) is its business; the others are reported, and the main thread ends this one.
 */
function reportWhenBroken(db: PGlite): void {
  const module = db.Module;
  const once = module._PostgresMainLoopOnce;
  module._PostgresMainLoopOnce = () => {
    try {
      once();
    } catch (error) {
      const status = (error as { status?: unknown } | null)?.status;
      if (status !== ordinaryError) {
        post({ kind: 'broken', message: whyBroken(error) });
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      }
      throw error;
    }
  };
}

async function open(): Promise<PGlite> {
  const db = await PGlite.create({
    ...(dataFolder === undefined ? {} : { dataDir: dataFolder }),
    database: engineDatabase,
    extensions: engineExtensions,
    // Small files of the write-ahead log: a new folder is a third as large, and one more file fits on a fuller disk.
    initDbStartParams: ['--wal-segsize=1'],
    startParams: engineStartParameters,
    onStderr: listen,
  });
  // Emscripten's interval timer is a setTimeout; when an idle time-out of PostgreSQL fires it, the
  // engine exits inside PGlite's loop, which then never ends. No timer, no such end: the daemon
  // keeps the time-outs itself.
  globalThis.setTimeout = (() => 0) as unknown as typeof setTimeout;
  reportWhenBroken(db);
  return db;
}

try {
  const db = await open();
  const status = readStatusPacket(await db.execProtocolRaw(startupPacketOf(engineDatabase)));
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'close') {
      void db.close().then(() => post({ kind: 'closed' }));
      return;
    }
    const { id, bytes } = message;
    db.execProtocolRawStream(bytes, { onRawData: (data) => postData(id, data) }).then(
      () => post({ kind: 'done', id }),
      (error: unknown) => post({ kind: 'broken', message: whyBroken(error) }),
    );
  });
  post({ kind: 'ready', ...status });
} catch (error) {
  post({ kind: 'failed', message: whyBroken(error) });
}

/** The start-up packet by which the engine tells its ParameterStatus values. */
export function startupPacketOf(database: string): Uint8Array {
  const body = Buffer.concat([
    int32(3 << 16),
    ...['user', 'postgres', 'database', database].map(cString),
    Buffer.from([0]),
  ]);
  return new Uint8Array(Buffer.concat([int32(body.length + 4), body]));
}

/** Reads the engine's answer to the start-up packet. */
export function readStatusPacket(answer: Uint8Array): {
  parameters: [string, string][];
  processId: number;
} {
  const splitter = new FrameSplitter(answer.length + 1);
  splitter.push(Buffer.from(answer));
  const parameters: [string, string][] = [];
  let processId = 0;
  for (let frame = splitter.next(); frame !== undefined; frame = splitter.next()) {
    if (frame.type === 'K') processId = frame.bytes.readInt32BE(5);
    if (frame.type !== 'S') continue;
    const name = readCString(frame.bytes, 5);
    const value = readCString(frame.bytes, name.end);
    parameters.push([name.raw.toString('utf8'), value.raw.toString('utf8')]);
  }
  return { parameters, processId };
}
