import { randomInt } from 'node:crypto';
import { engineDatabase, engineUser } from '../engine/identity.js';
import {
  authenticationOk,
  backendKeyData,
  negotiateProtocolVersion,
  parameterStatus,
  readyForQuery,
  type Report,
} from '../wire/messages.js';
import { parseOptions } from '../wire/startup.js';
import { ProtocolViolation } from '../wire/frames.js';
import { SessionSettings } from './session-settings.js';

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
