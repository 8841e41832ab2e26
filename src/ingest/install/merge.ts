import { isDeepStrictEqual } from 'node:util';
import { applyEdits, type FormattingOptions, type JSONPath, modify } from 'jsonc-parser';
import { parse as parseToml } from 'smol-toml';
import { counted } from '../../core/format/number.js';
import { byOwnKey, isObject } from '../../core/values.js';
import { ConsoleError } from '../../db/errors.js';
import { type HookCommand, isOurs, type SettingsAgent, type TelemetrySettings } from './agent.js';
import { parseSettings } from './settings-file.js';

type Hooks = Map<string, unknown[]>;

/**
 * Adds our hook to every event of a settings file, behind what is there; comments, order and indentation stay. What an
 * earlier installation wrote is brought up to date in its place.
 *
 * @param text of the file; undefined where there is none
 * @throws ConsoleError `file_failed` where the file is broken or its hooks have an unknown shape
 */
export function addHooks(
  text: string | undefined,
  agent: SettingsAgent,
  command: HookCommand,
  file: string,
): string {
  return editSettings(text?.trim() ? text : '{}\n', file, (document) => {
    for (const [key, value] of Object.entries(agent.base)) {
      if (!document.has(key)) document.set([key], value);
    }
    for (const event of agent.events) {
      const entry = agent.entry(event, command);
      const entries = document.hooks().get(event);
      const at = entries?.findIndex(holdsOurs) ?? -1;
      const there: unknown = entries?.[at];
      if (entries === undefined) document.set(['hooks', event], [entry]);
      else if (there === undefined) document.append(['hooks', event, entries.length], entry);
      else updateEntry(document, ['hooks', event, at], there, entry);
    }
  });
}

/** Somebody may have put a matcher or another hook beside ours: these stay. */
function updateEntry(document: Document, at: JSONPath, there: unknown, entry: object): void {
  const handlers = handlersOf(there);
  const [ours] = handlersOf(entry) ?? [];
  const path = handlers ? [...at, 'hooks', handlers.findIndex(isOurs)] : at;
  const current = handlers ? handlers.find(isOurs) : there;
  const wanted = handlers ? ours : entry;
  if (!isDeepStrictEqual(current, wanted)) document.set(path, wanted);
}

/** What of a settings file was there before the hooks: it stays, be it empty. */
export type Before = {
  base: Readonly<Record<string, unknown>>;
  /** Undefined: nothing is known of the file as it was. */
  text: string | undefined;
};

/**
 * Takes every hook of ours out of a settings file, with the lists that are empty then and that were not before.
 *
 * @throws ConsoleError `file_failed`
 */
export function removeHooks(
  text: string,
  file: string,
  { base, text: former }: Before = { base: {}, text: undefined },
): string {
  if (text.trim() === '') return text;
  const before = former === undefined ? undefined : valuesOf(former, file);
  const hooksBefore = before?.get('hooks');
  const had = (event: string) => isObject(hooksBefore) && Object.hasOwn(hooksBefore, event);
  return editSettings(text, file, (document) => {
    let removed = false;
    for (const [event, entries] of document.hooks()) {
      if (!entries.some(holdsOurs)) continue;
      removed = true;
      for (const [index, entry] of [...entries.entries()].reverse()) {
        const handlers = handlersOf(entry);
        if (isOurs(entry) || (handlers?.every(isOurs) && handlers.length > 0)) {
          document.set(['hooks', event, index], undefined);
          continue;
        }
        for (const [at, handler] of [...(handlers ?? []).entries()].reverse()) {
          if (isOurs(handler)) document.set(['hooks', event, index, 'hooks', at], undefined);
        }
      }
      if (document.hooks().get(event)?.length === 0)
        document.set(['hooks', event], had(event) ? [] : undefined);
    }
    if (!removed) return;
    if (document.hasNothingIn('hooks'))
      document.set(['hooks'], hooksBefore === undefined ? undefined : {});
    for (const [key, value] of before === undefined ? [] : Object.entries(base)) {
      if (!before?.has(key) && document.is(key, value)) document.set([key], undefined);
    }
  });
}

/** The events that have our hook, with the strings it is started by. */
export function installedHooks(text: string, file: string): Map<string, unknown> {
  if (text.trim() === '') return new Map();
  const installed = new Map<string, unknown>();
  for (const [event, entries] of hooksOf(parseSettings(text.replace(/^\uFEFF/, ''), file), file)) {
    const entry = entries.find(holdsOurs);
    const ours = isOurs(entry) ? entry : handlersOf(entry)?.find(isOurs);
    if (ours !== undefined) installed.set(event, ours);
  }
  return installed;
}

/** A settings file while it is changed; each change is made in the text. */
class Document {
  #text: string;
  readonly #file: string;
  readonly #formatting: FormattingOptions;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
    this.#formatting = formattingOf(text);
  }

  get text(): string {
    return this.#text;
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#root(), key);
  }

  is(key: string, value: unknown): boolean {
    return isDeepStrictEqual(byOwnKey(this.#root() as Record<string, unknown>, key), value);
  }

  hasNothingIn(key: string): boolean {
    return this.is(key, {});
  }

  hooks(): Hooks {
    return hooksOf(this.#root(), this.#file);
  }

  /** @param value undefined: takes it out */
  set(path: JSONPath, value: unknown): void {
    const options = { formattingOptions: this.#formatting };
    this.#text = applyEdits(this.#text, modify(this.#text, path, value, options));
  }

  append(path: JSONPath, value: unknown): void {
    const options = { formattingOptions: this.#formatting, isArrayInsertion: true };
    this.#text = applyEdits(this.#text, modify(this.#text, path, value, options));
  }

  #root(): object {
    const root = parseSettings(this.#text, this.#file);
    if (typeof root === 'object' && root !== null && !Array.isArray(root)) return root;
    throw unknownShape(this.#file, 'it is no object');
  }
}

/** Changes the text of a settings file, and nothing of it but what `change` sets. */
function editSettings(text: string, file: string, change: (document: Document) => void): string {
  const mark = text.startsWith('\uFEFF') ? '\uFEFF' : '';
  const document = new Document(text.slice(mark.length), file);
  change(document);
  return mark + document.text;
}

function hooksOf(root: unknown, file: string): Hooks {
  const { hooks = {} } = (root ?? {}) as { hooks?: unknown };
  if (typeof hooks !== 'object' || hooks === null || Array.isArray(hooks)) {
    throw unknownShape(file, '"hooks" is no object');
  }
  const lists = new Map<string, unknown[]>();
  for (const [event, entries] of Object.entries(hooks)) {
    // Some CLIs keep switches beside the events.
    if (Array.isArray(entries)) lists.set(event, entries as unknown[]);
  }
  return lists;
}

function handlersOf(entry: unknown): unknown[] | undefined {
  const handlers = (entry as { hooks?: unknown } | null | undefined)?.hooks;
  return Array.isArray(handlers) ? (handlers as unknown[]) : undefined;
}

const holdsOurs = (entry: unknown): boolean =>
  isOurs(entry) || (handlersOf(entry)?.some(isOurs) ?? false);

function unknownShape(file: string, what: string): ConsoleError {
  return new ConsoleError('file_failed', `${file} has an unknown shape: ${what}.`, {
    hint: 'Nothing was changed.',
  });
}

function formattingOf(text: string): FormattingOptions {
  const [, indent = '  '] = /\n([ \t]+)\S/.exec(text) ?? [];
  const tabs = indent.startsWith('\t');
  return {
    insertSpaces: !tabs,
    tabSize: tabs ? 1 : indent.length,
    eol: text.includes('\r\n') ? '\r\n' : '\n',
  };
}

/** Where OTLP over HTTP is taken unless something else is said; that of the specification. */
export const usualAddress = '127.0.0.1:4318';

/**
 * Adds what has a CLI send its telemetry to the collector; comments, order and indentation stay.
 *
 * @param to where the collector listens, and where it did at an earlier installation
 * @throws ConsoleError `usage` where the CLI has none, or sends its telemetry to somebody else already
 */
export function addTelemetry(
  text: string,
  agent: SettingsAgent,
  to: { url: string; former: string | undefined },
  file: string,
): string {
  if (agent.telemetryFile !== undefined) return text;
  if (agent.telemetry === undefined) {
    throw new ConsoleError('usage', `The settings of ${agent.title} cannot switch telemetry on.`, {
      hint: 'Name the CLIs that can: hooks install claude codex gemini --telemetry.',
    });
  }
  const { under, values, optional = {}, endpoint } = agent.telemetry;
  const there = valuesIn(text, under, file);
  const wanted = Object.entries({ ...values, [endpoint]: to.url });
  const mayStand = (name: string, value: unknown) =>
    [value, undefined, name === endpoint ? to.former : undefined].includes(there.get(name));
  const other = wanted.find(([name, value]) => !mayStand(name, value));
  if (other !== undefined) throw elsewhere(file, other[0]);
  return editSettings(text, file, (document) => {
    for (const [name, value] of wanted) {
      if (there.get(name) !== value) document.set([under, name], value);
    }
    for (const [name, value] of Object.entries(optional)) {
      if (!there.has(name)) document.set([under, name], value);
    }
  });
}

function elsewhere(file: string, name: string): ConsoleError {
  return new ConsoleError('usage', `${file} sets ${name} to something else already.`, {
    hint: 'Nothing was changed. Its telemetry goes elsewhere: have that backend pass it on, or take the setting out.',
  });
}

/** Where the telemetry of a CLI goes. */
export const endpointIn = (
  text: string,
  { under, endpoint }: TelemetrySettings,
  file: string,
): unknown => valuesIn(text, under, file).get(endpoint);

/** Whether a CLI sends its telemetry to one of these addresses, as an installation of ours has it do. */
export function hasTelemetry(
  text: string,
  telemetry: TelemetrySettings,
  urls: readonly unknown[],
  file: string,
): boolean {
  const { under, values, endpoint } = telemetry;
  const there = valuesIn(text, under, file);
  return (
    Object.entries(values).every(([name, value]) => there.get(name) === value) &&
    there.has(endpoint) &&
    urls.includes(there.get(endpoint))
  );
}

/**
 * Takes the values out again, where all of them are as they were added; those that were there before stay.
 *
 * @param urls where the collector listens or did
 * @param former the file as it was; undefined where that is not known
 */
export function removeTelemetry(
  text: string,
  telemetry: TelemetrySettings,
  { urls, former }: { urls: readonly unknown[]; former: string | undefined },
  file: string,
): string {
  if (text.trim() === '' || !hasTelemetry(text, telemetry, urls, file)) return text;
  const { under, values, optional = {}, endpoint } = telemetry;
  const there = valuesIn(text, under, file);
  const ours = Object.entries(optional).filter(([name, value]) => there.get(name) === value);
  const kept = former === undefined ? new Map() : valuesIn(former, under, file);
  const wasThere = former !== undefined && valuesOf(former, file).has(under);
  return editSettings(text, file, (document) => {
    for (const name of [...Object.keys(values), ...ours.map(([name]) => name), endpoint]) {
      if (!kept.has(name)) document.set([under, name], undefined);
    }
    if (document.hasNothingIn(under)) document.set([under], wasThere ? {} : undefined);
  });
}

function valuesIn(text: string, under: string, file: string): Map<string, unknown> {
  const values = valuesOf(text, file).get(under);
  return new Map(Object.entries((values ?? {}) as Record<string, unknown>));
}

/** What differs between two texts of a CLI's settings, in words: `27 hooks`, `5 telemetry settings`. */
export function changedParts(
  { telemetry }: SettingsAgent,
  [before, after]: readonly [string, string],
  file: string,
): string[] {
  const [hooksBefore, hooksAfter] = [installedHooks(before, file), installedHooks(after, file)];
  const events = new Set([...hooksBefore.keys(), ...hooksAfter.keys()]);
  const hooks = [...events].filter(
    (event) => !isDeepStrictEqual(hooksBefore.get(event), hooksAfter.get(event)),
  ).length;
  const { under = '', values = {}, optional = {}, endpoint = '' } = telemetry ?? {};
  const [settingsBefore, settingsAfter] = [before, after].map((text) =>
    valuesIn(text, under, file),
  );
  const settings = [...Object.keys(values), ...Object.keys(optional), endpoint].filter(
    (name) => settingsBefore?.get(name) !== settingsAfter?.get(name),
  ).length;
  return [
    ...(hooks > 0 ? [counted(hooks, 'hook')] : []),
    ...(settings > 0 ? [counted(settings, 'telemetry setting')] : []),
  ];
}

/** The values at the top of a settings file. */
function valuesOf(text: string, file: string): Map<string, unknown> {
  if (text.trim() === '') return new Map();
  const root = parseSettings(text.replace(/^\uFEFF/, ''), file);
  return new Map(Object.entries((root ?? {}) as Record<string, unknown>));
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
