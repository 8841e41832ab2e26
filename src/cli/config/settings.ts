import { didYouMean } from '../../core/nearest.js';
import { resolveSource } from '../../db/connection/source.js';
import { ConsoleError } from '../../db/errors.js';
import type { AlertSettings } from '../../live/alerts/alert-watch.js';
import type { KeyChoices } from '../../ui/keymap.js';
import type { BadgeColour, ThemeName } from '../../ui/theme.js';

/** What a command takes from the config file: of the connection where it says something, else in general. */
export type Settings = {
  /** The named connection that is used; undefined: what flags or environment name, or the embedded one. */
  connection: NamedConnection | undefined;
  intervalMs: number | undefined;
  windowMs: number | undefined;
  /** The connection that the collector writes to where nothing else names one. */
  collectConnection: string | undefined;
  /** Where the collector takes telemetry unless `--listen` says it. */
  collectListen: string | undefined;
  /** Certificate and key with which it is taken there. */
  collectTls: TlsFiles | undefined;
  /** Where the collector sends metrics, and how often (ms). */
  collectMetrics: MetricsTarget | undefined;
  /** US dollars that somebody wants to spend a day at most. */
  budgetUsdPerDay: number | undefined;
  theme: ThemeName | undefined;
  alerts: AlertSettings | undefined;
  keys: KeyChoices | undefined;
};

export type TlsFiles = { cert: string; key: string };
export type MetricsTarget = { url: string; everyMs: number };

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
    collectConnection: config.collectConnection,
    collectListen: config.collectListen,
    collectTls: config.collectTls,
    collectMetrics: config.collectMetrics,
    budgetUsdPerDay: config.budgetUsdPerDay,
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

function connectionNamed({ connections, file, unreadable }: Config, name: string): NamedConnection {
  const connection = connections.get(name);
  if (connection) return connection;
  const known = [...connections.keys()];
  const hint =
    unreadable !== undefined
      ? `The config file cannot be read: ${unreadable}`
      : file === undefined
        ? 'There is no config file; docs/configuration.md shows one.'
        : known.length > 0
          ? `${didYouMean(name, known)}Connections: ${known.join(', ')}`
          : `${file} has no [connections.NAME].`;
  throw new ConsoleError('usage', `There is no connection "${name}".`, { hint });
}

/** A database with a name: `trace-console prod`. */
export type NamedConnection = {
  name: string;
  /** One of these three names the database; none: as without a config, from the environment. */
  url?: string;
  envFile?: string;
  dataDir?: string;
  schema?: string;
  poolSize?: number;
  readOnly: boolean;
  /** Every action that changes something asks for the connection's name to be typed. */
  production: boolean;
  /** Of the name's badge in the header. */
  colour: BadgeColour;
  intervalMs?: number;
  windowMs?: number;
};

/** What the config file says; without one, nothing. */
export type Config = {
  /** The file that was read; undefined when there is none. */
  file: string | undefined;
  /**
   * The usual file, which is there and cannot be read, as another user's after `sudo -u`. What needs no
   * config goes on without it.
   */
  unreadable?: string;
  intervalMs?: number;
  windowMs?: number;
  theme?: ThemeName;
  /** The connection that is used when none is named. */
  connection?: string;
  connections: ReadonlyMap<string, NamedConnection>;
  /** `[collect] connection`: where the collector writes. */
  collectConnection?: string;
  /** `[collect] listen`: where it takes telemetry. */
  collectListen?: string;
  /** `[collect] tls-cert` and `tls-key`: paths of PEM files. */
  collectTls?: TlsFiles;
  /** `[collect] metrics-to` and `metrics-every`. */
  collectMetrics?: MetricsTarget;
  /** `[usage] budget-usd-per-day`. */
  budgetUsdPerDay?: number;
  alerts?: AlertSettings;
  /** The keys that were chosen for actions. */
  keys?: KeyChoices;
};

export const noConfig: Config = { file: undefined, connections: new Map() };
