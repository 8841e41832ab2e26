import { randomInt } from 'node:crypto';
import { engineDatabase, engineUser } from '../engine/messages.js';
import {
  authenticationOk,
  backendKeyData,
  ByteQueue,
  negotiateProtocolVersion,
  parameterStatus,
  ProtocolViolation,
  readCString,
  readyForQuery,
  type Report,
} from '../wire.js';
import { SessionSettings } from './client.js';

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
const controlCode = (4321 << 16) | 5432;

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

/** What a client asks for when it connects. */
export type Hello = {
  settings: SessionSettings;
  /** Options of newer protocols, which are answered but not known. */
  unknownOptions: string[];
};

const fatal = (code: string, message: string, hint?: string): Report => ({
  severity: 'FATAL',
  code,
  message,
  ...(hint === undefined ? {} : { hint }),
});

/** Reads the parameters of a start-up packet; a report when the connection is refused. */
export function readHello(
  parameters: ReadonlyMap<string, string>,
  defaults: ReadonlyMap<string, string>,
): Hello | Report {
  const user = parameters.get('user');
  if (user !== engineUser) {
    const hint = `Connect as ${engineUser}; SET ROLE changes the role afterwards.`;
    return fatal('28000', `role "${user ?? ''}" cannot log in to the embedded database`, hint);
  }
  const database = parameters.get('database') ?? user;
  if (database !== engineDatabase) {
    const hint = `The embedded database has one database, ${engineDatabase}.`;
    return fatal('3D000', `database "${database}" does not exist`, hint);
  }
  if (/^(?:on|true|yes|1|database)$/i.test(parameters.get('replication') ?? '')) {
    return fatal('0A000', 'replication is not available on the embedded database');
  }
  try {
    return hello(parameters, defaults);
  } catch (error) {
    if (error instanceof ProtocolViolation) return fatal('42601', error.message);
    throw error;
  }
}

const notSettings = new Set(['user', 'database', 'replication', 'options']);

function hello(
  parameters: ReadonlyMap<string, string>,
  defaults: ReadonlyMap<string, string>,
): Hello {
  const settings = parseOptions(parameters.get('options') ?? '');
  const unknownOptions: string[] = [];
  for (const [name, value] of parameters) {
    if (name.startsWith('_pq_.')) unknownOptions.push(name);
    else if (!notSettings.has(name)) settings.set(name, value);
  }
  for (const [name, value] of settings) {
    const known = [...defaults].find(([key]) => key.toLowerCase() === name.toLowerCase());
    const same = (text: string): string => text.toLowerCase().replace(/^utf-8$/, 'utf8');
    if (known !== undefined && same(known[1]) === same(value)) settings.delete(name);
  }
  return { settings: new SessionSettings(settings), unknownOptions };
}

/**
 * The answer to a start-up packet. It does not wait for the engine, which another client may use:
 * settings that the client asked for are reported as given and applied before its first statement.
 */
export function greeting(
  { settings, unknownOptions }: Hello,
  minor: number,
  defaults: ReadonlyMap<string, string>,
  processId: number,
  secret: number,
): Buffer {
  const reported = [...defaults].map(([name, value]): [string, string] => {
    const own = settings.entries().find(([key]) => key.toLowerCase() === name.toLowerCase());
    if (name === 'session_authorization') return [name, engineUser];
    return [name, own?.[1] ?? value];
  });
  const negotiates = minor > 0 || unknownOptions.length > 0;
  return Buffer.concat([
    ...(negotiates ? [negotiateProtocolVersion(unknownOptions)] : []),
    authenticationOk(),
    ...reported.map(([name, value]) => parameterStatus(name, value)),
    backendKeyData(processId, secret),
    readyForQuery('I'),
  ]);
}

/** A secret for cancel requests. */
export const newSecret = (): number => randomInt(1, 0x7fff_ffff);
