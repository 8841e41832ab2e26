import { parseConnectionString } from '../db/connection/conninfo.js';
import { resolveSource } from '../db/connection/source.js';
import { resolveDataFolder } from '../db/embedded/folder/paths.js';
import { openDatabase, type OpenOptions } from '../db/open.js';
import type { ConnectionChoice } from '../ui/connection-choice.js';
import type { ConnectionBadge } from '../ui/draw/header.js';
import type { Config, NamedConnection } from './config/config.js';
import { spansFor, type PlaceFlags } from './config/settings.js';

/** The flags that say how a database is opened, beside which one. */
export type OpenFlags = PlaceFlags & {
  schema?: string | undefined;
  poolSize?: number | undefined;
  readOnly: boolean;
};

/** How the database of flags and named connection is opened; flags win. */
export function openOptionsOf(
  flags: OpenFlags,
  connection: NamedConnection | undefined,
): OpenOptions {
  return {
    url: flags.url ?? connection?.url,
    ...(connection && { origin: `config: ${connection.name}` as const }),
    envFile: flags.envFile ?? connection?.envFile,
    dataDir: flags.dataDir ?? connection?.dataDir,
    schema: flags.schema ?? connection?.schema,
    poolSize: flags.poolSize ?? connection?.poolSize,
    readOnly: flags.readOnly || connection?.readOnly,
    ...(connection?.production && { production: connection.name }),
  };
}

/** What is typed for a database that has no name, as in `cd -`. */
const unnamed = '-';
/** No connection can be called by a command's word. */
const embedded = 'embedded';

/**
 * The databases that the console can be on, first the one that it is opened on: those of the config file, and the
 * embedded one. `--read-only` and `--pool-size` hold on each of them.
 *
 * @param connection the named connection that is used at first
 */
export function connectionChoices(
  config: Config,
  flags: OpenFlags,
  connection: NamedConnection | undefined,
): readonly [ConnectionChoice, ...ConnectionChoice[]] {
  const { readOnly, poolSize } = flags;
  const guards = { readOnly, poolSize };
  const first = choiceOf(config, flags, connection);
  const named = [...config.connections.values()]
    .filter((each) => each !== connection)
    .map((each) => choiceOf(config, guards, each));
  const folder = resolveDataFolder();
  const own: ConnectionChoice = {
    ...choiceOf(config, { ...guards, dataDir: folder }, undefined),
    name: embedded,
    says: `the embedded database in ${folder}`,
  };
  const isOwn = first.name === unnamed && isEmbedded(flags);
  return isOwn ? [{ ...first, name: own.name, says: own.says }, ...named] : [first, ...named, own];
}

function choiceOf(
  config: Config,
  flags: OpenFlags,
  connection: NamedConnection | undefined,
): ConnectionChoice {
  const options = openOptionsOf(flags, connection);
  const { intervalMs, windowMs } = spansFor(config, connection);
  return {
    name: connection?.name ?? unnamed,
    says: describePlace(options, flags.demo ?? false),
    badge: connection && badgeOf(connection),
    readOnly: options.readOnly ?? false,
    cadenceMs: intervalMs,
    windowMs,
    open: (onProgress) => openDatabase({ ...options, onProgress }),
  };
}

/** Without the URL, which may hold a password: the screen has no use for it. */
function badgeOf({ name, production, colour }: NamedConnection): ConnectionBadge {
  return { name, production, colour };
}

function isEmbedded({ url, envFile, dataDir }: OpenFlags): boolean {
  const isNamed = url ?? envFile ?? dataDir;
  return isNamed === undefined && resolveSource().kind === 'embedded';
}

/** Where a database is, without any secret. */
function describePlace({ url, envFile, dataDir }: OpenOptions, isDemo: boolean): string {
  if (url !== undefined) return describeUrl(url);
  if (envFile !== undefined) return `as ${envFile} says`;
  if (isDemo) return "the demo's database";
  return dataDir === undefined ? 'as the environment says' : `the embedded database in ${dataDir}`;
}

function describeUrl(url: string): string {
  try {
    const { user, host, hostaddr, port, dbname, service } = parseConnectionString(url, 'url');
    if (service !== undefined) return `service ${service}`;
    const who = user === undefined ? '' : `${user}@`;
    const where = [host ?? hostaddr, port].filter((part) => part !== undefined).join(':');
    return `${who}${dbname ?? user ?? ''}${where === '' ? '' : ` on ${where}`}`;
  } catch {
    // Opening it says what is wrong.
    return 'a URL that cannot be read';
  }
}
