import { createHash } from 'node:crypto';
import { firstOf } from '../../core/values.js';
import { count, type Counter, mostExamples } from './pattern-state.js';
import type { ErrorEvent } from './tree.js';

/** What is known of a family of errors: one type, messages that differ only in particulars. */
export type ErrorState = {
  fingerprint: string;
  /** Families are numbered as they begin. */
  number: number;
  errorType: string;
  /** The message's words; what differs is `<*>`. */
  template: string[];
  occurrences: number;
  /** Of these ended their trace. */
  fatal: number;
  /** Days on which it occurred. */
  days: number;
  lastDay: number;
  agents: Counter;
  hookTypes: Counter;
  endpoints: Counter;
  /** How turns got over it, and how many did. */
  resolutions: Counter;
  resolved: number;
  examples: string[];
  /** Milliseconds since 1970. */
  firstAt: number;
  lastAt: number;
};

/** A type has so many families at most: what comes then is one family, whatever its message. */
const mostFamilies = 100;
const dayMs = 86_400_000;

/** So many ways over an error are counted: of what is more various the most frequent would be counted too low. */
const mostWays = 64;

/** Brings errors into families, in the order in which they occurred. */
export class ErrorBook {
  readonly #byType = new Map<string, ErrorState[]>();
  readonly #byFingerprint = new Map<string, ErrorState>();
  readonly changed = new Set<string>();

  /** To be called in the order of their numbers. */
  load(state: ErrorState): void {
    this.#byFingerprint.set(state.fingerprint, state);
    const families = this.#byType.get(state.errorType);
    if (families) families.push(state);
    else this.#byType.set(state.errorType, [state]);
  }

  get(fingerprint: string): ErrorState | undefined {
    return this.#byFingerprint.get(fingerprint);
  }

  families(): IterableIterator<ErrorState> {
    return this.#byFingerprint.values();
  }

  /** Counts an error; gives its family's fingerprint. */
  add(event: ErrorEvent): string {
    const errorType = errorTypeOf(event.errorType, event.message);
    const tokens = messageTokens(event.message);
    const state = this.#familyOf(errorType, tokens) ?? this.#begin(errorType, tokens, event);
    this.changed.add(state.fingerprint);
    state.occurrences += 1;
    if (event.isFatal) state.fatal += 1;
    const day = Math.floor(event.at / dayMs);
    if (day > state.lastDay) {
      state.days += 1;
      state.lastDay = day;
    }
    count(state.agents, event.agent, 12);
    if (event.hookType !== null) count(state.hookTypes, event.hookType, 8);
    if (event.endpointUrl !== null) count(state.endpoints, event.endpointUrl, 8);
    if (!state.examples.includes(event.traceId)) {
      state.examples = [...state.examples, event.traceId].slice(-mostExamples);
    }
    state.firstAt = Math.min(state.firstAt, event.at);
    state.lastAt = Math.max(state.lastAt, event.at);
    return state.fingerprint;
  }

  /** A turn got over an error, and how. */
  resolve(fingerprint: string, how: string): void {
    const state = this.#byFingerprint.get(fingerprint);
    if (!state) return;
    state.resolved += 1;
    count(state.resolutions, how, mostWays);
    this.changed.add(fingerprint);
  }

  /** Families in the order in which they began: an error joins the first that it fits. */
  #familyOf(errorType: string, tokens: readonly string[]): ErrorState | undefined {
    const families = this.#byType.get(errorType) ?? [];
    for (const family of families) {
      const merged = mergeTokens(family.template, tokens);
      if (!merged) continue;
      family.template = merged;
      return family;
    }
    return families.length >= mostFamilies ? families.at(-1) : undefined;
  }

  #begin(errorType: string, template: string[], { at }: ErrorEvent): ErrorState {
    const text = JSON.stringify([errorType, template]);
    const state: ErrorState = {
      fingerprint: createHash('sha1').update(text).digest('hex').slice(0, 32),
      number: this.#byFingerprint.size,
      errorType,
      template,
      occurrences: 0,
      fatal: 0,
      days: 0,
      lastDay: -1,
      agents: [],
      hookTypes: [],
      endpoints: [],
      resolutions: [],
      resolved: 0,
      examples: [],
      firstAt: at,
      lastAt: at,
    };
    this.load(state);
    return state;
  }
}

/** Critical, high, medium or low, by how often it occurs, on how many days, and whether it ends its trace. */
export function severityOf(state: ErrorState): 'critical' | 'high' | 'medium' | 'low' {
  const isFatal = state.fatal * 2 >= state.occurrences;
  if (isFatal && state.occurrences >= 100 && state.days >= 3) return 'critical';
  if (state.occurrences >= 100 || (isFatal && state.occurrences >= 20)) return 'high';
  return state.occurrences >= 10 || isFatal ? 'medium' : 'low';
}

/** Characters of a message that are looked at. */
const looked = 500;
const mostTokens = 40;

/** A part that differs between two messages of a family. */
export const anything = '<*>';

const replacements: readonly [RegExp, string][] = [
  // eslint-disable-next-line no-control-regex -- colours of a tool's output
  [/\x1b\[[\d;]*[A-Za-z]/g, ''],
  [/\b[a-z][a-z0-9+.-]*:\/\/\S+/gi, '<url>'],
  [/[\w.+-]+@[\w-]+\.[\w.]+/g, '<email>'],
  [/"[^"\n]{0,200}"|'[^'\n]{0,200}'|`[^`\n]{0,200}`|“[^”\n]{0,200}”/g, '<text>'],
  [/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/gi, '<id>'],
  [/\b(?:req|toolu|msg|call|run|id|sess)_[A-Za-z0-9]+/g, '<id>'],
  [/\b(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{6,64}\b/gi, '<id>'],
  [/(?:[A-Za-z]:)?(?:\.{0,2}[/\\])?(?:[\w.@~-]+[/\\])+[\w.@~-]*/g, '<path>'],
  [/(?<![\w.])\/[\w.@~-]+/g, '<path>'],
  [
    /\b[\w-]+\.(?:[cm]?[jt]sx?|py|go|rs|rb|java|c|h|cpp|cs|php|sh|sql|md|json|ya?ml|toml|lock)\b/g,
    '<path>',
  ],
  [/\b\d+(?:[.,:]\d+)*(?:\s?(?:ms|s|min|h|kb|mb|gb|%))?(?![\w])/gi, '<n>'],
  [/\d{2,}/g, '<n>'],
];

/** `openai-api: …`, `Bash: …`, `error: …`: who says it is known from elsewhere. */
const speaker = /^[\w@.-]{1,60}:\s+(?=\S+\s)/;

/**
 * A message without who says it and what changes from one occurrence to the next: numbers, ids, paths, URLs and quoted parts
 * become `<n>`, `<id>`, `<path>`, `<url>`, `<text>`. The first line only: what follows is a stack or an output.
 */
export function messageTokens(message: string): string[] {
  const lines = firstOf(message, looked).split(/\r?\n/);
  let text = lines.find((line) => line.trim() !== '') ?? '';
  text = text.trim().replace(speaker, '');
  for (const [pattern, put] of replacements) text = text.replace(pattern, put);
  return text.split(/\s+/).filter(Boolean).slice(0, mostTokens);
}

/** Two messages are of one family when so much of their words is the same: half of them, if these are two or more. */
const leastAlike = 0.6;
const leastAlikeOfSeveral = 0.5;

/**
 * Brings a message into a family: the template with what differs as `<*>`; undefined when the two are of
 * different length, or too different.
 */
export function mergeTokens(
  template: readonly string[],
  message: readonly string[],
): string[] | undefined {
  if (template.length !== message.length) return undefined;
  let same = 0;
  let fixed = 0;
  const merged = template.map((token, index) => {
    if (token === anything) return token;
    fixed += 1;
    if (token === message[index]) same += 1;
    return token === message[index] ? token : anything;
  });
  // Placeholders that are the same say little: "<n> <n>" is not like "<n> <n>" of another sentence.
  if (fixed === 0) return merged;
  const least = same >= 2 ? leastAlikeOfSeveral : leastAlike;
  return same / fixed >= least ? merged : undefined;
}

export type ErrorCategory = 'network' | 'validation' | 'system' | 'integration';

/** The first that fits the error's type and message. */
const categories: readonly [ErrorCategory, RegExp][] = [
  [
    'network',
    /econn|etimedout|enotfound|eai_again|socket|network|dns|rate.?limit|overloaded|upstream|unavailable|bad gateway|gateway|connection (?:reset|refused|closed)|fetch failed|\btls\b|certificate|too many requests|\b(?:429|502|503|504|529)\b/i,
  ],
  [
    'validation',
    /valid|schema|type.?check|typeerror|syntax|lint|parse|assert|tests? (?:still )?fail|testsstill|policy|denied|not allowed|permission|forbidden|blocked|missing (?:argument|parameter)|string to replace|has not been read/i,
  ],
  [
    'system',
    /memory|disk|enospc|emfile|eacces|enoent|no such file|context.?length|too long|max.?turns|hook|crash|killed|signal|no progress|agent.?timeout|timed? ?out/i,
  ],
];

/** What kind of error it is, by its type and its words; `integration` when nothing else is known. */
export function categoryOf(errorType: string, message: string): ErrorCategory {
  const text = `${errorType} ${message.slice(0, looked)}`;
  return categories.find(([, pattern]) => pattern.test(text))?.[0] ?? 'integration';
}

/** The type of an error whose writer gave none: `TypeError: …` begins with its own. */
export function errorTypeOf(errorType: string | null, message: string): string {
  if (errorType !== null && errorType !== '') return firstOf(errorType, 512);
  const named = /^\s*([A-Z][A-Za-z]*(?:Error|Exception))\b/.exec(message);
  return named?.[1] ?? 'Error';
}
