import type { Socket } from 'node:net';
import type { Client, ClientOutput } from '../mux/client.js';
import type { Multiplexer } from '../mux/multiplexer.js';
import { ByteQueue, ProtocolViolation, errorResponse } from '../wire/frames.js';
import { readStartupPacket, type StartupPacket } from '../mux/greeting.js';

/** A connection that has not said who it is after this (ms) is closed. */
const startupLimitMs = 10_000;

export type ConnectionContext = {
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
export function serveConnection(socket: Socket, context: ConnectionContext): void {
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
