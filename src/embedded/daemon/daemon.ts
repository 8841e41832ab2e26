import net, { type Socket } from 'node:net';
import fs from 'node:fs';
import { isNoSpace } from '../../core/folders.js';
import { consoleVersion } from '../../core/version.js';
import { ConsoleError, failureOf } from '../../db/errors.js';
import {
  type ControlAnswer,
  controlProtocol,
  type ControlRequest,
  type DaemonLog,
  type DaemonStatus,
} from '../control.js';
import { Engine } from '../engine/engine.js';
import { saysNoRoom } from '../engine/messages.js';
import type { FolderLock } from '../../core/folder-lock.js';
import {
  databaseExists,
  draftOf,
  ensurePrivateFolder,
  forSocket,
  inFolder,
  socketFile,
} from '../folder/paths.js';
import type { Reserve } from '../folder/reserve.js';
import { unpackTemplate } from '../folder/template.js';
import { EngineUnavailable } from '../mux/engine-host.js';
import type { Client, ClientOutput } from '../mux/client.js';
import { readStartupPacket, type StartupPacket } from '../mux/greeting.js';
import type { Limits } from '../mux/limits.js';
import { Multiplexer } from '../mux/multiplexer.js';
import { ByteQueue, errorResponse, ProtocolViolation } from '../wire.js';
import { buildOf, type Programs } from './programs.js';
import { Upkeep } from './upkeep.js';

/** A connection that has not said who it is after this (ms) is closed. */
const startupLimitMs = 10_000;

type ConnectionContext = {
  multiplexer: Multiplexer;
  /** Settles when clients can be served. */
  ready: Promise<unknown>;
  control: (request: string, socket: Socket) => void;
};

function outputOf(socket: Socket): ClientOutput {
  return {
    write: (bytes, written) => {
      if (socket.writable) socket.write(bytes, () => written?.());
      else written?.();
    },
    end: () => socket.end(),
    destroy: () => socket.destroy(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  };
}

/** Serves one connection: its start-up packets here, everything after in the multiplexer. */
function serveConnection(socket: Socket, context: ConnectionContext): void {
  const startup = new ByteQueue();
  const output = outputOf(socket);
  let client: Client | undefined;
  let decided = false;
  const timer = setTimeout(() => socket.destroy(), startupLimitMs);

  const admit = async (packet: StartupPacket & { kind: 'session' }): Promise<void> => {
    await context.ready;
    if (socket.destroyed) return;
    client = context.multiplexer.connect(output, packet.minor, packet.parameters);
    const early = startup.take(startup.length);
    if (client && early) context.multiplexer.receive(client, early);
  };

  const decide = (packet: StartupPacket): void => {
    if (packet.kind === 'encryption') {
      socket.write('N');
      return;
    }
    decided = true;
    clearTimeout(timer);
    if (packet.kind === 'cancel') {
      context.multiplexer.cancel(packet.processId, packet.secret);
      socket.end();
    } else if (packet.kind === 'control') context.control(packet.request, socket);
    else void admit(packet).catch(() => socket.destroy());
  };

  socket.setNoDelay(true);
  socket.on('data', (piece) => {
    if (client) {
      context.multiplexer.receive(client, piece);
      return;
    }
    startup.push(piece);
    try {
      while (!decided) {
        const packet = readStartupPacket(startup);
        if (packet === undefined) return;
        decide(packet);
      }
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      clearTimeout(timer);
      output.write(errorResponse({ severity: 'FATAL', code: '08P01', message: error.message }));
      output.end();
      decided = true;
    }
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    clearTimeout(timer);
    if (client) context.multiplexer.disconnect(client);
  });
}

type DaemonOptions = {
  dataFolder: string;
  socketFolder: string;
  lock: FolderLock;
  reserve: Reserve;
  /** One line an event; never a statement's text, a value or a setting. */
  log: DaemonLog;
  programs: Programs;
  /** Time without a client after which the daemon ends. */
  idleExitMs: number;
  limits?: Partial<Limits>;
};

/** A daemon that could not start says why for this long (ms), then ends. */
const failureToldMs = 1_000;

type Progress = ControlAnswer & { kind: 'progress' };

/** The process that owns a data folder: socket, multiplexer, engine and upkeep. */
export class Daemon {
  readonly #options: DaemonOptions;
  readonly #log: DaemonLog;
  readonly #build: string;
  readonly #multiplexer: Multiplexer;
  readonly #upkeep: Upkeep;
  readonly #server: net.Server;
  readonly #watchers = new Set<net.Socket>();
  readonly #startedAt = new Date();
  readonly #timers: NodeJS.Timeout[] = [];
  #phase: DaemonStatus['phase'] = 'starting';
  #progress: Progress = { kind: 'progress', message: 'Starting the embedded database' };
  #failure: ControlAnswer | undefined;
  #ready: Promise<void> = Promise.resolve();
  #usedAt = performance.now();
  #stopping: Promise<void> | undefined;

  constructor(options: DaemonOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#build = buildOf(options.programs);
    const { log } = options;
    const postgres = inFolder.postgres(options.dataFolder);
    this.#multiplexer = new Multiplexer({
      startEngine: () => Engine.start(options.programs.worker, postgres),
      log,
      reserve: options.reserve,
      onUnavailable: () => void this.stop('the engine does not start any more'),
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    });
    this.#upkeep = new Upkeep(this.#multiplexer, postgres, options.reserve, log);
    this.#server = net.createServer((socket) =>
      serveConnection(socket, {
        multiplexer: this.#multiplexer,
        ready: this.#ready,
        control: (request, peer) => this.#control(request, peer),
      }),
    );
  }

  /** Listens at once; clients wait until the engine is ready. */
  async listen(): Promise<void> {
    await this.#bind();
    this.#log(`listening, ${this.#build}`);
    // Who waits for a long first start must see that somebody is at it.
    const signs = setInterval(() => this.#tellWatchers(this.#progress), 5_000);
    this.#ready = this.#start().finally(() => clearInterval(signs));
    this.#ready.catch((error: unknown) => this.#startFailed(error));
  }

  async #bind(): Promise<void> {
    ensurePrivateFolder(this.#options.socketFolder, forSocket);
    const file = socketFile(this.#options.socketFolder);
    fs.rmSync(file, { force: true });
    const umask = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject);
        this.#server.listen(file, () => {
          this.#server.off('error', reject);
          resolve();
        });
      });
    } finally {
      process.umask(umask);
    }
  }

  async #start(): Promise<void> {
    const begun = performance.now();
    const { dataFolder, programs } = this.#options;
    const postgres = inFolder.postgres(dataFolder);
    const isNew = !databaseExists(postgres);
    const made = isNew ? await this.#createOrLeaveNothing(postgres, programs) : undefined;
    this.#report({ message: 'Starting the embedded database' });
    await this.#multiplexer.start();
    await this.#upkeep.prepare(made?.hasSchema);
    this.#phase = 'ready';
    this.#usedAt = performance.now();
    const what = isNew ? 'new database' : 'database';
    this.#log(`${what} ready after ${Math.round(performance.now() - begun)} ms`);
    this.#tellWatchers(this.#statusAnswer());
    this.#options.reserve.takeBack();
    this.#watch();
    this.#upkeep.begin();
  }

  /** A full disk is no place for half a database. */
  async #createOrLeaveNothing(
    postgres: string,
    programs: Programs,
  ): Promise<{ hasSchema: boolean }> {
    const { reserve } = this.#options;
    try {
      return await this.#createDatabase(postgres, programs);
    } catch (error) {
      fs.rmSync(draftOf(postgres), { recursive: true, force: true });
      throw isNoSpace(error) || saysNoRoom(failureOf(error).message) ? reserve.unavailable : error;
    }
  }

  async #createDatabase(postgres: string, programs: Programs): Promise<{ hasSchema: boolean }> {
    const report = (step: Omit<Progress, 'kind'>): void => this.#report(step);
    const { template } = programs;
    const made = template && (await unpackTemplate(template, postgres, report));
    if (made) return made;
    const reason = template ? 'the template is of another version' : 'no template was built';
    report({ message: `Creating the embedded database (${reason}: some seconds)` });
    const draft = draftOf(postgres);
    fs.rmSync(draft, { recursive: true, force: true });
    fs.mkdirSync(draft, { mode: 0o700 });
    const engine = await Engine.start(programs.worker, draft);
    await engine.close();
    fs.renameSync(draft, postgres);
    return { hasSchema: false };
  }

  #startFailed(error: unknown): void {
    const cause = error instanceof EngineUnavailable ? this.#options.reserve.unavailable : error;
    const known = cause instanceof ConsoleError ? cause : undefined;
    const message =
      known?.message ?? `The embedded database did not start: ${failureOf(error).message}`;
    const hint = known?.hint ?? `See ${inFolder.log(this.#options.dataFolder)}.`;
    const code = known?.code ?? 'embedded_unavailable';
    this.#failure = { kind: 'failed', code, message, hint };
    this.#tellWatchers(this.#failure);
    this.#log(message, 'error');
    // Who started this daemon may not have asked yet.
    setTimeout(() => void this.stop('it did not start'), failureToldMs);
  }

  #report(step: Omit<Progress, 'kind'>): void {
    this.#progress = { kind: 'progress', ...step };
    this.#tellWatchers(this.#progress);
  }

  #tellWatchers(answer: ControlAnswer): void {
    for (const watcher of this.#watchers) this.#answer(watcher, answer);
  }

  #watch(): void {
    this.#timers.push(
      setInterval(() => this.#multiplexer.tick(), 500),
      setInterval(() => this.#exitWhenUnused(), 250),
      setInterval(() => this.#checkFolders(), 10_000),
    );
  }

  #exitWhenUnused(): void {
    if (this.#multiplexer.clients > 0) this.#usedAt = performance.now();
    else if (performance.now() - this.#usedAt > this.#options.idleExitMs) {
      void this.stop('no client for a while');
    }
  }

  /** A folder deleted under a running daemon ends it; a swept socket folder is made again. */
  #checkFolders(): void {
    const { lock, socketFolder } = this.#options;
    if (!lock.isOurs) {
      this.#log('the data folder is gone or taken: leaving it alone', 'error');
      process.exit(1);
    }
    lock.touch();
    const now = new Date();
    if (fs.existsSync(socketFile(socketFolder))) {
      fs.utimesSync(socketFile(socketFolder), now, now);
      fs.utimesSync(socketFolder, now, now);
    } else if (this.#multiplexer.clients === 0) void this.stop('the socket was removed');
    else void this.#bindAgain();
  }

  /** Clients that are connected stay so; without the socket no other could come. */
  async #bindAgain(): Promise<void> {
    this.#server.close();
    try {
      await this.#bind();
      this.#log('the socket was removed, and made anew');
    } catch (error) {
      this.#log(`the socket was removed: ${failureOf(error).message}`, 'warning');
    }
  }

  #status(): DaemonStatus {
    const unused = this.#multiplexer.clients === 0 && this.#phase === 'ready';
    const left = this.#options.idleExitMs - (performance.now() - this.#usedAt);
    return {
      protocol: controlProtocol,
      version: consoleVersion(),
      build: this.#build,
      pid: process.pid,
      dataFolder: this.#options.dataFolder,
      phase: this.#phase,
      clients: this.#multiplexer.clients,
      startedAt: this.#startedAt.toISOString(),
      engineRestarts: this.#multiplexer.restarts,
      ...(unused ? { exitsAt: new Date(Date.now() + left).toISOString() } : {}),
    };
  }

  #statusAnswer = (): ControlAnswer => ({ kind: 'status', status: this.#status() });

  #answer(socket: net.Socket, answer: ControlAnswer): void {
    if (socket.writable) socket.write(`${JSON.stringify(answer)}\n`);
  }

  #control(text: string, socket: net.Socket): void {
    let request: Partial<ControlRequest>;
    try {
      request = JSON.parse(text) as Partial<ControlRequest>;
    } catch {
      socket.destroy();
      return;
    }
    socket.on('close', () => this.#watchers.delete(socket));
    if (request.op === 'hello' && this.#failure !== undefined) {
      this.#answer(socket, this.#failure);
      return;
    }
    if (request.op === 'hello' && this.#phase === 'starting') {
      this.#answer(socket, this.#progress);
      this.#watchers.add(socket);
      return;
    }
    if (request.op === 'hello') this.#usedAt = performance.now();
    const busy = this.#multiplexer.clients > 0 || this.#phase === 'starting';
    if (request.op === 'retire' && busy) {
      this.#answer(socket, { kind: 'refused', status: this.#status() });
      return;
    }
    this.#answer(socket, this.#statusAnswer());
    if (request.op === 'retire' || request.op === 'stop') void this.stop(`asked to ${request.op}`);
  }

  /** Ends clients, writes everything out, gives the folder free and exits. */
  stop(reason: string): Promise<void> {
    this.#stopping ??= this.#stop(reason);
    return this.#stopping;
  }

  async #stop(reason: string): Promise<void> {
    this.#log(`stopping: ${reason}`);
    const started = this.#phase === 'ready';
    this.#phase = 'stopping';
    for (const timer of this.#timers) clearInterval(timer);
    this.#upkeep.end();
    this.#server.close();
    try {
      const unused = this.#multiplexer.clients === 0;
      await this.#multiplexer.dismissAll();
      if (started) await this.#upkeep.leave(unused);
      await this.#multiplexer.close();
    } catch (error) {
      this.#log(`stopping: ${failureOf(error).message}`, 'warning');
    }
    fs.rmSync(socketFile(this.#options.socketFolder), { force: true });
    this.#log('stopped');
    this.#options.lock.release();
    process.exit(0);
  }
}
