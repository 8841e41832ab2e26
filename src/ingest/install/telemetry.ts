import { ConsoleError } from '../../db/errors.js';
import { parse as parseToml } from 'smol-toml';
import type { SettingsAgent, TelemetrySettings } from './agent.js';
import { editSettings } from './merge.js';
import { parseSettings } from './settings-file.js';

/** Where OTLP over HTTP is taken unless something else is said; that of the specification. */
export const usualAddress = '127.0.0.1:4318';

/**
 * Adds what has a CLI send its telemetry to the collector; comments, order and indentation stay.
 *
 * @throws ConsoleError `usage` where the CLI has none, or sends its telemetry to somebody else already
 */
export function addTelemetry(text: string, agent: SettingsAgent, file: string): string {
  if (agent.telemetryFile !== undefined) return text;
  if (agent.telemetry === undefined) {
    throw new ConsoleError('usage', `The settings of ${agent.title} cannot switch telemetry on.`, {
      hint: 'Name the CLIs that can: hooks install claude codex gemini --telemetry.',
    });
  }
  const { under, values } = agent.telemetry;
  const there = valuesIn(text, under, file);
  const wanted = Object.entries(values);
  const other = wanted.find(([name, value]) => (there.get(name) ?? value) !== value);
  if (other !== undefined) throw elsewhere(file, other[0]);
  return editSettings(text, file, (document) => {
    for (const [name, value] of wanted) {
      if (!there.has(name)) document.set([under, name], value);
    }
  });
}

function elsewhere(file: string, name: string): ConsoleError {
  return new ConsoleError('usage', `${file} sets ${name} to something else already.`, {
    hint: 'Nothing was changed. Its telemetry goes elsewhere: have that backend pass it on, or take the setting out.',
  });
}

/** Takes the values out again, where all of them are as they were added. */
export function removeTelemetry(
  text: string,
  { under, values }: TelemetrySettings,
  file: string,
): string {
  if (text.trim() === '') return text;
  const there = valuesIn(text, under, file);
  const ours = Object.entries(values);
  if (!ours.every(([name, value]) => there.get(name) === value)) return text;
  return editSettings(text, file, (document) => {
    for (const [name] of ours) document.set([under, name], undefined);
    if (there.size === ours.length) document.set([under], undefined);
  });
}

function valuesIn(text: string, under: string, file: string): Map<string, unknown> {
  const root = parseSettings(text.replace(/^\uFEFF/, ''), file);
  const values = ((root ?? {}) as Record<string, unknown>)[under];
  return new Map(Object.entries((values ?? {}) as Record<string, unknown>));
}

const begin = '# trace-console: telemetry to the collector';
const end = '# trace-console: end';

/**
 * Adds a table at the end of a file of TOML, where nothing else can belong to it.
 *
 * @throws ConsoleError `usage` where the table is there already and not ours, or the file is no TOML
 */
export function addTable(text: string, table: string, lines: string, file: string): string {
  const others = removeTable(text);
  let known: Record<string, unknown>;
  try {
    known = parseToml(others);
  } catch (cause) {
    throw new ConsoleError('file_failed', `${file} is no TOML.`, { cause });
  }
  if (Object.hasOwn(known, table)) throw elsewhere(file, `[${table}]`);
  const gap = others === '' ? '' : others.endsWith('\n') ? '\n' : '\n\n';
  return `${others}${gap}${begin}\n${lines}\n${end}\n`;
}

/** Takes the table out again, with the empty line before it. */
export function removeTable(text: string): string {
  const from = text.indexOf(`${begin}\n`);
  const to = text.indexOf(`${end}\n`, from);
  if (from === -1 || to === -1) return text;
  return text.slice(0, from).replace(/\n\n$/, '\n') + text.slice(to + end.length + 1);
}
