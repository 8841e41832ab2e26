import { ByteQueue } from './byte-queue.js';
import { ProtocolViolation, readCString } from './frames.js';

/** The first packet of a connection, which has no type byte. */
export type StartupPacket =
  | { kind: 'encryption' }
  | { kind: 'cancel'; processId: number; secret: number }
  | { kind: 'control'; request: string }
  | { kind: 'session'; minor: number; parameters: Map<string, string> };

const encryptionCodes = new Set([80_877_103, 80_877_104]);
const cancelCode = 80_877_102;

/**
 * Our own request code, beside the ones of PostgreSQL (1234.5678 and on): a JSON text by which a
 * console asks the daemon for its state. No client of PostgreSQL sends it.
 */
export const controlCode = (4321 << 16) | 5432;

/** PostgreSQL's own limit for a start-up packet. */
const largestPacket = 10_000;

/** Reads one start-up packet; undefined until all of it is there. */
export function readStartupPacket(queue: ByteQueue): StartupPacket | undefined {
  const header = queue.peek(8);
  if (header === undefined) return undefined;
  const length = header.readInt32BE(0);
  const code = header.readInt32BE(4);
  if (length < 8 || length > largestPacket) {
    throw new ProtocolViolation('invalid length of startup packet');
  }
  const packet = queue.take(length);
  if (packet === undefined) return undefined;
  if (encryptionCodes.has(code)) return { kind: 'encryption' };
  if (code === cancelCode) {
    if (length < 16) throw new ProtocolViolation('invalid cancel request');
    return { kind: 'cancel', processId: packet.readInt32BE(8), secret: packet.readInt32BE(12) };
  }
  if (code === controlCode) return { kind: 'control', request: packet.toString('utf8', 8) };
  if (code >>> 16 !== 3) {
    throw new ProtocolViolation(`unsupported frontend protocol ${code >>> 16}.${code & 0xffff}`);
  }
  return { kind: 'session', minor: code & 0xffff, parameters: readParameters(packet) };
}

function readParameters(packet: Buffer): Map<string, string> {
  const parameters = new Map<string, string>();
  let offset = 8;
  while (offset < packet.length && packet[offset] !== 0) {
    const name = readCString(packet, offset);
    const value = readCString(packet, name.end);
    parameters.set(name.raw.toString('utf8'), value.raw.toString('utf8'));
    offset = value.end;
  }
  if (offset !== packet.length - 1) throw new ProtocolViolation('invalid startup packet layout');
  return parameters;
}

/** A control request as a packet. */
export function controlPacket(request: string): Buffer {
  const body = Buffer.from(request, 'utf8');
  const header = Buffer.allocUnsafe(8);
  header.writeInt32BE(8 + body.length, 0);
  header.writeInt32BE(controlCode, 4);
  return Buffer.concat([header, body]);
}

/**
 * The settings in the start-up parameter `options` (`-c name=value`, `-cname=value`,
 * `--name=value`), with backslash escapes as PostgreSQL has them.
 */
export function parseOptions(options: string): Map<string, string> {
  const words = (options.match(/(?:\\.|[^\s\\])+/g) ?? []).map((word) =>
    word.replace(/\\(.)/g, '$1'),
  );
  const settings = new Map<string, string>();
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    let assignment: string;
    if (word === '-c') {
      index += 1;
      assignment = words[index] ?? '';
    } else if (word.startsWith('-c')) assignment = word.slice(2);
    else if (word.startsWith('--')) assignment = word.slice(2);
    else throw new ProtocolViolation(`invalid command-line argument for server process: ${word}`);
    const equals = assignment.indexOf('=');
    if (equals <= 0) throw new ProtocolViolation(`-c ${assignment} requires a value`);
    settings.set(assignment.slice(0, equals).replaceAll('-', '_'), assignment.slice(equals + 1));
  }
  return settings;
}
