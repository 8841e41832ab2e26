// The engine's thread: PGlite, and nothing else. It runs one buffer of protocol messages at a time.
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { engineDatabase } from './identity.js';
import type { FromWorker, ToWorker, WorkerData } from './messages.js';
import { readStatusPacket, startupPacketOf } from './session-parameters.js';
import { engineExtensions, engineStartParameters } from './settings.js';

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
        post({ kind: 'broken', message: String(error) });
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
    startParams: engineStartParameters,
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
      (error: unknown) => post({ kind: 'broken', message: String(error) }),
    );
  });
  post({ kind: 'ready', ...status });
} catch (error) {
  post({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
}
