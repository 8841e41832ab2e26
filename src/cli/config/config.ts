import type { AlertSettings } from '../../ui/app/alerting.js';
import type { KeyChoices } from '../../ui/keys/keys.js';
import type { BadgeColour } from '../../ui/look.js';
import type { ThemeName } from '../../ui/theme.js';

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
  intervalMs?: number;
  windowMs?: number;
  theme?: ThemeName;
  /** The connection that is used when none is named. */
  connection?: string;
  connections: ReadonlyMap<string, NamedConnection>;
  alerts?: AlertSettings;
  /** The keys that were chosen for actions. */
  keys?: KeyChoices;
};

export const noConfig: Config = { file: undefined, connections: new Map() };
