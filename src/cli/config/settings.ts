import { resolveSource } from '../../db/connection/source.js';
import { ConsoleError } from '../../db/errors.js';
import type { AlertSettings } from '../../ui/app/alerting.js';
import type { KeyChoices } from '../../ui/keys/keys.js';
import type { ThemeName } from '../../ui/theme.js';
import type { Config, NamedConnection } from './config.js';

/** What a command takes from the config file: of the connection where it says something, else in general. */
export type Settings = {
  /** The named connection that is used; undefined: what flags or environment name, or the embedded one. */
  connection: NamedConnection | undefined;
  intervalMs: number | undefined;
  windowMs: number | undefined;
  theme: ThemeName | undefined;
  alerts: AlertSettings | undefined;
  keys: KeyChoices | undefined;
};

/** The flags by which a person names a database. */
export type PlaceFlags = {
  connection?: string | undefined;
  url?: string | undefined;
  envFile?: string | undefined;
  dataDir?: string | undefined;
  demo?: boolean | undefined;
};

/**
 * The settings for one command.
 *
 * @throws ConsoleError `usage` for an unknown connection, or two databases at once
 */
export function settingsFor(config: Config, flags: PlaceFlags): Settings {
  const connection = chosenConnection(config, flags);
  return {
    connection,
    ...spansFor(config, connection),
    theme: config.theme,
    alerts: config.alerts,
    keys: config.keys,
  };
}

/** Cadence and window: the connection's, else those in general. */
export function spansFor(config: Config, connection: NamedConnection | undefined) {
  return {
    intervalMs: connection?.intervalMs ?? config.intervalMs,
    windowMs: connection?.windowMs ?? config.windowMs,
  };
}

function chosenConnection(config: Config, flags: PlaceFlags): NamedConnection | undefined {
  const { connection: name, url, envFile, dataDir, demo } = flags;
  const namesPlace = url ?? envFile ?? dataDir ?? (demo ? 'demo' : undefined);
  if (name !== undefined) {
    if (namesPlace !== undefined) {
      throw new ConsoleError('usage', `--connection ${name} and another flag name two databases.`, {
        hint: 'Leave --url, --env-file, --data-dir and --demo out.',
      });
    }
    return connectionNamed(config, name);
  }
  // As with every default, what was set for this shell wins over the file.
  const { connection: usual } = config;
  if (usual === undefined || namesPlace !== undefined) return undefined;
  return resolveSource().kind === 'embedded' ? connectionNamed(config, usual) : undefined;
}

function connectionNamed({ connections, file }: Config, name: string): NamedConnection {
  const connection = connections.get(name);
  if (connection) return connection;
  const known = [...connections.keys()];
  const hint =
    file === undefined
      ? 'There is no config file; docs/configuration.md shows one.'
      : known.length > 0
        ? `Connections: ${known.join(', ')}`
        : `${file} has no [connections.NAME].`;
  throw new ConsoleError('usage', `There is no connection "${name}".`, { hint });
}
