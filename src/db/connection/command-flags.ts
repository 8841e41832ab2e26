import type { Database } from '../database.js';
import { shellWord } from '../quote.js';

/** The database that a printed command is to reach: the one that it is about. Never with a password. */
export type CommandTarget = Pick<Database, 'address' | 'capabilities'> & {
  /** The flags that led here, quoted for a shell: `--connection prod`; absent: its address does. */
  readonly namedBy?: string | undefined;
};

/**
 * What leads a command of the console to a database, quoted for a shell: `--connection prod`, or
 * `--url postgresql://user@host:5432/database --schema x`. Empty for the embedded database that the console finds by itself.
 * The password comes from where psql finds it, too: PGPASSWORD or a password file.
 */
export function commandFlags(target: CommandTarget): string {
  const { embedded, schema } = target.capabilities;
  const place = target.namedBy ?? (embedded ? '' : `--url ${shellWord(urlOf(target))}`);
  const own = schema === 'public' ? '' : `--schema ${shellWord(schema)}`;
  return [place, own].filter(Boolean).join(' ');
}

/**
 * A text that names commands of the console, each with the flags behind its name:
 * `trace-console schema apply --connection prod --yes`. Said once more it stays as it is.
 *
 * @param commands the names of those that ask a database, `schema apply`
 */
export function carryFlags(
  text: string,
  flags: string,
  commands: ReadonlySet<string> = new Set(),
): string {
  if (flags === '' || commands.size === 0) return text;
  return text.replace(
    commandInText,
    (written: string, first: string, second: string, at: number) => {
      const isTwo = commands.has(`${first} ${second}`);
      if (!isTwo && !commands.has(first)) return written;
      const name = isTwo ? `${first} ${second}` : first;
      const rest = text.slice(at + prefix.length + name.length);
      return rest.startsWith(` ${flags}`)
        ? written
        : `${prefix}${name} ${flags}${written.slice(prefix.length + name.length)}`;
    },
  );
}

const prefix = 'trace-console ';
const commandInText = /\btrace-console ([a-z]+(?:-[a-z]+)*)(?: ([a-z]+(?:-[a-z]+)*))?/g;

function urlOf({ address: { host, port, user, database, tls } }: CommandTarget): string {
  const text = encodeURIComponent;
  const isFolder = host.startsWith('/');
  const name = host.includes(':') ? `[${host}]` : isFolder ? '' : host;
  const parameters = [
    ...(isFolder ? [`host=${text(host)}`] : []),
    ...(tls ? ['sslmode=require'] : []),
  ];
  const query = parameters.length > 0 ? `?${parameters.join('&')}` : '';
  return `postgresql://${text(user)}@${name}:${port}/${text(database)}${query}`;
}

/** As psql takes it. */
export function connectionString({
  address: { host, port, user, database, tls },
}: CommandTarget): string {
  const value = (text: string) => `'${text.replaceAll(/['\\]/g, '\\$&')}'`;
  const parts = [
    `host=${value(host)}`,
    `port=${port}`,
    `dbname=${value(database)}`,
    `user=${value(user)}`,
  ];
  return [...parts, ...(tls ? ['sslmode=require'] : [])].join(' ');
}

/** `localhost:5432, database omninode_bridge, schema public`: where something would be changed. */
export function placeOf(database: Database): string {
  const { address, capabilities } = database;
  const host = capabilities.embedded ? 'the embedded database' : `${address.host}:${address.port}`;
  return `${host}, database ${capabilities.database}, schema ${capabilities.schema}`;
}
