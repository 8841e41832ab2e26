import { readNumber } from '../../core/values.js';

/**
 * A token of SQL. Text is handled as Latin-1, one character a byte, so that offsets are byte
 * offsets whatever the encoding is; every character that matters to the scanner is ASCII.
 */
type Token = {
  /** `word` is folded to lower case, `identifier` was in double quotes, `string` in quotes. */
  kind: 'word' | 'identifier' | 'string' | 'symbol';
  /** The name or content, without quotes. */
  text: string;
  start: number;
  end: number;
};

/** The tokens of one statement, comments and white space left out. */
type Statement = { tokens: Token[]; truncated: boolean };

/** A list of a million values is not looked at to its end; what matters stands at the front. */
const mostTokens = 4_000;

const isSpace = (char: string): boolean => /\s/.test(char);
const startsWord = (char: string): boolean => /[A-Za-z_\u0080-\u00ff]/.test(char);
const wordRest = /[\w$\u0080-\u00ff]*/y;
const numberRest = /[\w.]*/y;
const lineRest = /[^\n\r]*/y;
const dollarTag = /\$(?:[A-Za-z_\u0080-\u00ff][\w\u0080-\u00ff]*)?\$/y;

function matchAt(pattern: RegExp, sql: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(sql)?.[0];
}

/** Offset after the quote that closes the one at `open`; the end of the text when none does. */
function closingQuote(sql: string, open: number, escapes: boolean): number {
  const quote = sql[open];
  const special = quote === '"' ? /"/g : escapes ? /['\\]/g : /'/g;
  special.lastIndex = open + 1;
  for (let match = special.exec(sql); match !== null; match = special.exec(sql)) {
    const at = match.index;
    if (match[0] !== '\\' && sql[at + 1] !== quote) return at + 1;
    special.lastIndex = at + 2;
  }
  return sql.length;
}

function commentEnd(sql: string, open: number): number {
  let depth = 1;
  let at = open + 2;
  while (depth > 0) {
    const close = sql.indexOf('*/', at);
    if (close < 0) return sql.length;
    const nested = sql.indexOf('/*', at);
    if (nested >= 0 && nested < close) {
      depth += 1;
      at = nested + 2;
    } else {
      depth -= 1;
      at = close + 2;
    }
  }
  return at;
}

function unquote(sql: string, start: number, end: number): string {
  const quote = sql[start] ?? "'";
  return sql.slice(start + 1, end - 1).replaceAll(quote + quote, quote);
}

/** The token at `at`; undefined for a comment or white space, with where it ends. */
function readToken(sql: string, at: number): { token?: Token; end: number } {
  const char = sql[at] ?? '';
  const next = sql[at + 1];
  if (isSpace(char)) return { end: at + 1 };
  if (char === '-' && next === '-') {
    return { end: at + (matchAt(lineRest, sql, at) ?? '--').length };
  }
  if (char === '/' && next === '*') return { end: commentEnd(sql, at) };
  if (char === "'" || char === '"') {
    const end = closingQuote(sql, at, false);
    const kind = char === '"' ? 'identifier' : 'string';
    return { token: { kind, text: unquote(sql, at, end), start: at, end }, end };
  }
  if (char === '$') {
    const tag = matchAt(dollarTag, sql, at);
    if (tag !== undefined) {
      const close = sql.indexOf(tag, at + tag.length);
      const bodyEnd = close < 0 ? sql.length : close;
      const end = close < 0 ? sql.length : close + tag.length;
      const text = sql.slice(at + tag.length, bodyEnd);
      return { token: { kind: 'string', text, start: at, end }, end };
    }
  }
  if (startsWord(char)) {
    if (next === "'" && /[eEbBxXnN]/.test(char)) {
      const end = closingQuote(sql, at + 1, /[eE]/.test(char));
      return { token: { kind: 'string', text: unquote(sql, at + 1, end), start: at, end }, end };
    }
    const end = at + (matchAt(wordRest, sql, at) ?? char).length;
    const text = sql.slice(at, end).replace(/[A-Z]+/g, (upper) => upper.toLowerCase());
    return { token: { kind: 'word', text, start: at, end }, end };
  }
  const end = /[0-9]/.test(char) ? at + (matchAt(numberRest, sql, at) ?? char).length : at + 1;
  return { token: { kind: 'symbol', text: sql.slice(at, end), start: at, end }, end };
}

/** Splits SQL text at its semicolons. Texts that end in mid-quote or mid-comment are allowed. */
export function scanStatements(sql: string): Statement[] {
  const statements: Statement[] = [];
  let current: Statement = { tokens: [], truncated: false };
  let at = 0;
  while (at < sql.length) {
    const { token, end } = readToken(sql, at);
    at = end;
    if (token === undefined) continue;
    if (token.kind === 'symbol' && token.text === ';') {
      if (current.tokens.length > 0) statements.push(current);
      current = { tokens: [], truncated: false };
    } else if (current.tokens.length < mostTokens) current.tokens.push(token);
    else current.truncated = true;
  }
  if (current.tokens.length > 0) statements.push(current);
  return statements;
}

/** A change of the channels a client listens to, in the order of the text. */
export type ListenChange = { listen: string } | { unlisten: string } | { unlistenAll: true };

/** The name of an SQL-level prepared statement in the text, to be replaced by the client's own. */
type StatementName = { start: number; end: number; name: string; prepares: boolean };

/**
 * What the multiplexer must know of a text before and after the engine runs it. The engine has one
 * session for all clients; these are the ways in which a statement changes that session.
 */
export type StatementFacts = {
  /** May change settings beyond its transaction. */
  settings: boolean;
  /** Settings with a dot in their name, which the engine does not list and has to be asked for. */
  customSettings: string[];
  /** May put settings back to what they were at the start of the session. */
  resets: boolean;
  /** May change statement_timeout: the engine is asked for its value afterwards. */
  mentionsTimeout: boolean;
  /** The longest statement_timeout that the text itself sets, in ms; 0 is none. */
  timeoutMs: number | undefined;
  /** Nothing in the text but that one SET changes statement_timeout. */
  timeoutOnce: boolean;
  begins: boolean;
  listens: ListenChange[];
  /** May create a temporary relation. */
  temporary: boolean;
  names: StatementName[];
  refusal: Refusal | undefined;
  /** Names one of the idle time-outs, which have no effect here. */
  mentionsIdleTimeout: boolean;
  /** The whole text is DISCARD ALL or DEALLOCATE ALL. */
  sole: 'DISCARD ALL' | 'DEALLOCATE ALL' | undefined;
};

const plain: StatementFacts = {
  settings: false,
  customSettings: [],
  resets: false,
  mentionsTimeout: false,
  timeoutMs: undefined,
  timeoutOnce: false,
  begins: false,
  listens: [],
  temporary: false,
  names: [],
  refusal: undefined,
  mentionsIdleTimeout: false,
  sole: undefined,
};

/** Texts without any of these words are plain; most are, and are not scanned. */
const telling =
  /\b(?:set|reset|set_config|listen|unlisten|prepare|execute|deallocate|discard|begin|start|do|call|load|temp|temporary|pg_temp|hold)\b|advisory|_timeout/i;

const customName = /^[A-Za-z_][\w$]*(?:\.[A-Za-z_][\w$]*)+$/;

const idleTimeouts =
  /idle_in_transaction_session_timeout|idle_session_timeout|\btransaction_timeout/i;

/** @param sql the text as Latin-1, one character a byte. */
export function statementFacts(sql: string): StatementFacts {
  if (!telling.test(sql)) return plain;
  const statements = scanStatements(sql);
  const facts: StatementFacts = {
    ...plain,
    mentionsTimeout: /statement_timeout|set_config/i.test(sql),
    timeoutOnce: sql.match(/statement_timeout|set_config/gi)?.length === 1,
    mentionsIdleTimeout: idleTimeouts.test(sql),
    customSettings: [],
    listens: [],
    names: [],
  };
  for (const statement of statements) addStatement(facts, statement, statements.length === 1);
  return facts;
}

function addStatement(facts: StatementFacts, statement: Statement, sole: boolean): void {
  const { tokens } = statement;
  const verb = wordAt(tokens, 0);
  const second = wordAt(tokens, 1);
  facts.refusal ??= refusalOf(statement, sole);
  if (sole && second === 'all' && (verb === 'discard' || verb === 'deallocate')) {
    facts.sole = verb === 'discard' ? 'DISCARD ALL' : 'DEALLOCATE ALL';
  }
  if (verb === 'begin' || (verb === 'start' && second === 'transaction')) facts.begins = true;
  if (verb === 'reset' || verb === 'discard') facts.settings = facts.resets = true;
  if (verb === 'do' || verb === 'call' || verb === 'load') facts.settings = true;
  if (verb === 'set') addSet(facts, tokens);
  if (statement.truncated || callsSetConfigForSession(tokens)) {
    facts.settings = true;
    const named = tokens.filter(({ kind, text }) => kind === 'string' && customName.test(text));
    facts.customSettings.push(...named.map(({ text }) => text));
  }
  if (verb === 'listen' || verb === 'unlisten') addListen(facts, tokens, verb);
  if (tokens.some(isTemporary) || verb === 'do' || verb === 'call') facts.temporary = true;
  const name = preparedName(tokens);
  if (name) facts.names.push(name);
}

function wordAt(tokens: readonly Token[], index: number): string | undefined {
  const token = tokens[index];
  return token?.kind === 'word' ? token.text : undefined;
}

const isTemporary = (token: Token): boolean =>
  (token.kind === 'word' || token.kind === 'identifier') &&
  /^(?:temp|temporary|pg_temp)$/.test(token.text);

function addSet(facts: StatementFacts, tokens: readonly Token[]): void {
  const scope = wordAt(tokens, 1);
  if (scope === 'transaction' || scope === 'constraints') return;
  if (scope !== 'local') facts.settings = true;
  const at = scope === 'local' || scope === 'session' ? 2 : 1;
  if (tokens[at + 1]?.text === '.') {
    facts.customSettings.push(`${tokens[at]?.text ?? ''}.${tokens[at + 2]?.text ?? ''}`);
  }
  if (tokens[at]?.text !== 'statement_timeout') return;
  const value = parseTimeout(tokens.slice(at + 2).reduce((text, token) => text + token.text, ''));
  if (value === undefined) return;
  const longer = facts.timeoutMs === undefined || value === 0 || value > facts.timeoutMs;
  if (longer && facts.timeoutMs !== 0) facts.timeoutMs = value;
}

/** set_config(name, value, true) ends with its transaction; any other third argument may not. */
function callsSetConfigForSession(tokens: readonly Token[]): boolean {
  return tokens.some((token, index) => {
    if (token.text !== 'set_config' || token.kind === 'string') return false;
    if (tokens[index + 1]?.text !== '(') return false;
    let depth = 1;
    let argument = 1;
    for (let at = index + 2; at < tokens.length; at += 1) {
      const text = tokens[at]?.kind === 'symbol' ? tokens[at]?.text : undefined;
      if (text === '(' || text === '[') depth += 1;
      else if (text === ')' || text === ']') depth -= 1;
      else if (text === ',' && depth === 1) argument += 1;
      if (argument === 3) return wordAt(tokens, at + 1) !== 'true' || tokens[at + 2]?.text !== ')';
      if (depth === 0) return false;
    }
    return true;
  });
}

const utf8 = (latin1: string): string => Buffer.from(latin1, 'latin1').toString('utf8');

function addListen(facts: StatementFacts, tokens: readonly Token[], verb: string): void {
  const target = tokens[1];
  if (target === undefined) return;
  if (verb === 'listen') facts.listens.push({ listen: utf8(target.text) });
  else if (target.text === '*') facts.listens.push({ unlistenAll: true });
  else facts.listens.push({ unlisten: utf8(target.text) });
}

/** PREPARE n, EXECUTE n, DEALLOCATE [PREPARE] n, EXPLAIN … EXECUTE n, CREATE TABLE … AS EXECUTE n */
function preparedName(tokens: readonly Token[]): StatementName | undefined {
  const verb = wordAt(tokens, 0);
  let at: number | undefined;
  if (verb === 'prepare' && wordAt(tokens, 1) !== 'transaction') at = 1;
  else if (verb === 'execute') at = 1;
  else if (verb === 'deallocate') at = wordAt(tokens, 1) === 'prepare' ? 2 : 1;
  else if (verb === 'explain' || verb === 'create') {
    const execute = tokens.findIndex((token) => token.kind === 'word' && token.text === 'execute');
    const before = wordAt(tokens, execute - 1);
    const follows = verb === 'explain' ? before !== 'create' : before === 'as';
    // CREATE TRIGGER … EXECUTE FUNCTION has neither AS before it nor a statement's name behind.
    if (execute > 0 && follows) at = execute + 1;
  }
  const target = at === undefined ? undefined : tokens[at];
  if (target === undefined || (target.kind !== 'word' && target.kind !== 'identifier')) return;
  if (verb === 'deallocate' && target.kind === 'word' && target.text === 'all') return;
  const { start, end, text } = target;
  return { start, end, name: text, prepares: verb === 'prepare' };
}

const unitMs = new Map(
  Object.entries({
    us: 0.001,
    ms: 1,
    s: 1_000,
    min: 60_000,
    h: 3_600_000,
    d: 86_400_000,
  }),
);

/** A time setting as PostgreSQL writes it ("250", "5s", "1min") in milliseconds. */
export function parseTimeout(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)?\s*$/.exec(text);
  if (match === null) return undefined;
  return Math.round(readNumber(match[1]) * (unitMs.get(match[2] ?? 'ms') ?? 1));
}

/** Why the embedded database does not run a statement; its SQLSTATE is 0A000. */
export type Refusal = { message: string; hint: string };

const advisoryLock = /^pg_(?:try_)?advisory_lock(?:_shared)?$/;
const advisoryLockInBody = /\bpg_(?:try_)?advisory_lock(?:_shared)?\s*\(/i;

/**
 * Statements that would not do what they say, because all clients share the engine's one session:
 * two clients would both get the same session lock, one client's DISCARD would empty the other's.
 */
function refusalOf(statement: Statement, sole: boolean): Refusal | undefined {
  const { tokens } = statement;
  const verb = tokens[0]?.kind === 'word' ? tokens[0].text : undefined;
  const takesLock = tokens.some(
    (token) =>
      ((token.kind === 'word' || token.kind === 'identifier') && advisoryLock.test(token.text)) ||
      (verb === 'do' && token.kind === 'string' && advisoryLockInBody.test(token.text)),
  );
  if (takesLock) {
    return {
      message: 'session-level advisory locks are not available on the embedded database',
      hint: 'All clients share one engine session. Use pg_advisory_xact_lock or pg_try_advisory_xact_lock.',
    };
  }
  const holds = tokens.findIndex((token) => token.kind === 'word' && token.text === 'hold');
  if (verb === 'declare' && holds > 0 && tokens[holds - 1]?.text === 'with') {
    return {
      message: 'cursors WITH HOLD are not available on the embedded database',
      hint: 'All clients share one engine session. Read the cursor within its transaction.',
    };
  }
  const second = tokens[1]?.kind === 'word' ? tokens[1].text : undefined;
  const shared = verb === 'discard' && (second === 'temp' || second === 'temporary');
  const inList = !sole && (verb === 'discard' || verb === 'deallocate') && second === 'all';
  if (shared || inList) {
    const text = `${verb} ${second}`.toUpperCase();
    return {
      message: `${text} is not available here on the embedded database`,
      hint: 'All clients share one engine session. Send DISCARD ALL or DEALLOCATE ALL as a statement of its own.',
    };
  }
  return undefined;
}
