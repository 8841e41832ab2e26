import fs from 'node:fs';
import path from 'node:path';
import { parse, TomlError } from 'smol-toml';
import * as v from 'valibot';
import { homeFolder } from '../../core/folders.js';
import { poolSizes } from '../../db/server-pool.js';
import { ConsoleError } from '../../db/errors.js';
import { parseConnectionString } from '../../db/connection/conninfo.js';
import { checkRule } from '../../live/alerts/alert-watch.js';
import { findPane, paneIds } from '../../panes/registry.js';
import { metricsEvery } from '../../panes/export/send-metrics.js';
import { readWindow, windowRange } from '../../panes/reading/windows.js';
import { cadenceRange, readCadence } from '../../live/schedule.js';
import type { AlertSettings } from '../../live/alerts/alert-watch.js';
import { type KeyChoices, readKeyChoices } from '../../ui/keymap.js';
import { badgeColours, themeNames } from '../../ui/theme.js';
import { scopes } from '../../ui/views/registry.js';
import { isCommandWord } from '../registry.js';
import type { Config, NamedConnection } from './settings.js';

/** A time, written as `2s` or `1h`: what is typed for it in the console may stand here. */
function timeOf(range: string, read: (text: string) => number | undefined) {
  const allowed = `takes ${range}`;
  return v.pipe(
    v.string(allowed),
    v.transform((text) => read(text) ?? NaN),
    v.check((ms) => !Number.isNaN(ms), allowed),
  );
}

const interval = timeOf(cadenceRange, readCadence);
const window = timeOf(windowRange, readWindow);

const text = v.pipe(v.string('takes a text'), v.nonEmpty('must not be empty'));
const flag = v.boolean('takes true or false');
const poolSize = v.pipe(
  v.number(`takes a whole number from ${poolSizes.lowest} to ${poolSizes.highest}`),
  v.integer('takes a whole number'),
  v.minValue(poolSizes.lowest, `is at least ${poolSizes.lowest}`),
  v.maxValue(poolSizes.highest, `is at most ${poolSizes.highest}`),
);

const connection = v.strictObject({
  url: v.optional(text),
  'env-file': v.optional(text),
  'data-dir': v.optional(text),
  schema: v.optional(text),
  'pool-size': v.optional(poolSize),
  'read-only': v.optional(flag, false),
  production: v.optional(flag, false),
  colour: v.optional(v.picklist(badgeColours, `takes one of ${badgeColours.join(', ')}`), 'cyan'),
  interval: v.optional(interval),
  window: v.optional(window),
});

/** The collector of agents' events. */
const collect = v.strictObject({
  connection: v.optional(text),
  listen: v.optional(text),
  'tls-cert': v.optional(text),
  'tls-key': v.optional(text),
  'metrics-to': v.optional(text),
  'metrics-every': v.optional(text),
});

const usage = v.strictObject({
  'budget-usd-per-day': v.optional(
    v.pipe(v.number('takes a number of US dollars'), v.gtValue(0, 'is more than 0')),
  ),
});

const rule = v.strictObject({
  pane: v.pipe(
    v.string(),
    v.transform((id) => findPane(id)?.id ?? id),
    v.picklist(paneIds, `takes one of ${paneIds.join(', ')}`),
  ),
  when: text,
  window: v.optional(window),
});

const alerts = v.strictObject({
  bell: v.optional(flag, false),
  notify: v.optional(flag, false),
  rules: v.optional(v.record(v.string(), rule, 'takes tables: [alerts.rules.NAME]'), {}),
});

/** Of an action: one key, or several; none takes its key away. */
const keys = v.union(
  [v.string(), v.array(v.string())],
  'takes a key, or a list of keys: "X", ["q", "ctrl-q"]',
);

const config = v.strictObject({
  interval: v.optional(interval),
  window: v.optional(window),
  theme: v.optional(v.picklist(themeNames, `takes one of ${themeNames.join(', ')}`)),
  connection: v.optional(text),
  connections: v.optional(v.record(v.string(), connection, 'takes tables: [connections.NAME]'), {}),
  collect: v.optional(collect),
  usage: v.optional(usage),
  alerts: v.optional(alerts),
  keys: v.optional(v.record(v.string(), keys, 'takes a table: [keys]')),
});

/** A word that no shell and no flag takes for something else. */
const connectionName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/;

/**
 * The settings of a config file in TOML. Unknown settings are errors: a misspelt one would be silently
 * without effect.
 *
 * @param file for messages, and for what paths in it are relative to
 * @throws ConsoleError `usage`
 */
export function parseConfig(toml: string, file: string): Config {
  const result = v.safeParse(config, parseToml(toml, file));
  if (!result.success) throw mistake(file, ...describeIssue(result.issues[0]));
  const { interval, window, theme, connection: chosen, connections } = result.output;
  const named = Object.entries(connections).map(([name, settings]) =>
    namedConnection(file, name, settings),
  );
  if (chosen !== undefined && !Object.hasOwn(connections, chosen)) {
    throw mistake(file, 'connection', `names "${chosen}", which is not among the connections`);
  }
  const budget = result.output.usage?.['budget-usd-per-day'];
  return {
    file,
    ...(interval === undefined ? {} : { intervalMs: interval }),
    ...(window === undefined ? {} : { windowMs: window }),
    ...(theme === undefined ? {} : { theme }),
    ...(chosen === undefined ? {} : { connection: chosen }),
    ...collectSettings(result.output.collect, file, connections),
    ...(budget === undefined ? {} : { budgetUsdPerDay: budget }),
    connections: new Map(named.map((each) => [each.name, each])),
    ...(result.output.alerts === undefined ? {} : { alerts: alertsOf(result.output.alerts, file) }),
    ...(result.output.keys === undefined ? {} : { keys: keysOf(result.output.keys, file) }),
  };
}

function collectSettings(
  settings: v.InferOutput<typeof collect> = {},
  file: string,
  connections: object,
): Partial<Config> {
  const { connection, listen } = settings;
  if (connection !== undefined && !Object.hasOwn(connections, connection)) {
    throw mistake(
      file,
      'collect.connection',
      `names "${connection}", which is not among the connections`,
    );
  }
  if (listen !== undefined && !/^(?:.*:)?\d{1,5}$/.test(listen)) {
    throw mistake(file, 'collect.listen', 'takes HOST:PORT, for example "127.0.0.1:4318"');
  }
  const { cert, key } = {
    ...pathOf('cert', settings['tls-cert'], file),
    ...pathOf('key', settings['tls-key'], file),
  };
  if ((cert === undefined) !== (key === undefined)) {
    throw mistake(file, 'collect.tls-cert', 'needs tls-key, and tls-key needs it');
  }
  const { 'metrics-to': url, 'metrics-every': every } = settings;
  if (url !== undefined && !/^https?:\/\/./.test(url)) {
    throw mistake(
      file,
      'collect.metrics-to',
      'takes a URL, for example "http://127.0.0.1:9090/api/v1/otlp"',
    );
  }
  const everyMs = metricsEvery(every);
  if (everyMs === undefined) {
    throw mistake(file, 'collect.metrics-every', 'takes a time of 10 seconds or more: "60s", "5m"');
  }
  return {
    ...(connection === undefined ? {} : { collectConnection: connection }),
    ...(listen === undefined ? {} : { collectListen: listen }),
    ...(cert === undefined || key === undefined ? {} : { collectTls: { cert, key } }),
    ...(url === undefined ? {} : { collectMetrics: { url, everyMs } }),
  };
}

function alertsOf(
  { bell, notify: desktop, rules }: v.InferOutput<typeof alerts>,
  file: string,
): AlertSettings {
  const named = Object.entries(rules).map(([name, { window: windowMs, ...rule }]) => ({
    name,
    ...rule,
    ...(windowMs === undefined ? {} : { windowMs }),
  }));
  for (const each of named) {
    const problem = checkRule(each);
    if (problem !== undefined) {
      throw mistake(file, `alerts.rules.${each.name}.when`, `cannot be read: ${problem}`);
    }
  }
  return { bell, desktop, rules: named };
}

function keysOf(written: Record<string, string | string[]>, file: string): KeyChoices {
  const lists = Object.entries(written).map(([action, keys]) => [action, [keys].flat()] as const);
  const read = readKeyChoices(scopes, Object.fromEntries(lists));
  if ('choices' in read) return read.choices;
  const { action, problem, hint } = read;
  throw new ConsoleError('usage', `${file}: keys.${action} ${problem}.`, { hint });
}

function parseToml(toml: string, file: string): unknown {
  try {
    return parse(toml);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    // The first line says what is wrong; the rest is an excerpt, which may hold a password.
    const [what = ''] = cause.message.split('\n');
    throw new ConsoleError('usage', `${file}, line ${cause.line}: ${what}.`, {
      hint: 'The file is TOML: name = "value", [connections.NAME]. See docs/configuration.md.',
    });
  }
}

function namedConnection(
  file: string,
  name: string,
  settings: v.InferOutput<typeof connection>,
): NamedConnection {
  const at = `connections.${name}`;
  if (!connectionName.test(name)) {
    throw mistake(file, at, 'is no usable name: letters, digits, ".", "_" and "-", 32 at most');
  }
  if (isCommandWord(name)) throw mistake(file, at, 'has the name of a command; choose another');
  const { url, schema, production, colour, interval, window } = settings;
  const places = [url, settings['env-file'], settings['data-dir']];
  if (places.filter((place) => place !== undefined).length > 1) {
    throw mistake(file, at, 'names two databases: give one of url, env-file, data-dir');
  }
  if (url !== undefined && holdsSecret(url, name) && isReadableByOthers(file)) {
    throw new ConsoleError('usage', `${file} holds a password and others may read it.`, {
      hint: `chmod 600 ${file}, or leave the password to ~/.pgpass.`,
    });
  }
  return {
    name,
    ...(url === undefined ? {} : { url }),
    ...pathOf('envFile', settings['env-file'], file),
    ...pathOf('dataDir', settings['data-dir'], file),
    ...(schema === undefined ? {} : { schema }),
    ...(settings['pool-size'] === undefined ? {} : { poolSize: settings['pool-size'] }),
    readOnly: settings['read-only'],
    production,
    colour,
    ...(interval === undefined ? {} : { intervalMs: interval }),
    ...(window === undefined ? {} : { windowMs: window }),
  };
}

function holdsSecret(url: string, name: string): boolean {
  const { password, sslpassword } = parseConnectionString(url, `connections.${name}.url`);
  return password !== undefined || sslpassword !== undefined;
}

/** `~` is the home folder, anything relative lies beside the config file. */
function pathOf<Key extends string>(
  key: Key,
  given: string | undefined,
  file: string,
): Partial<Record<Key, string>> {
  if (given === undefined) return {};
  const expanded = given.replace(/^~(?=\/|$)/, homeFolder() ?? '~');
  return { [key]: path.resolve(path.dirname(file), expanded) } as Partial<Record<Key, string>>;
}

function isReadableByOthers(file: string): boolean {
  try {
    return process.platform !== 'win32' && (fs.statSync(file).mode & 0o077) !== 0;
  } catch {
    // It was read from somewhere that is no file any more; nobody else reads it either.
    return false;
  }
}

function describeIssue(issue: v.BaseIssue<unknown>): [setting: string, problem: string] {
  const setting = v.getDotPath(issue) ?? '';
  if (issue.type === 'strict_object') {
    return [setting, issue.expected === 'never' ? 'is no setting' : 'takes a table of settings'];
  }
  return [setting, issue.message];
}

function mistake(file: string, setting: string, problem: string): ConsoleError {
  return new ConsoleError('usage', `${file}: ${setting} ${problem}.`, {
    hint: 'docs/configuration.md lists the settings.',
  });
}
