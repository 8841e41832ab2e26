/**
 * A token of SQL. Text is handled as Latin-1, one character a byte, so that offsets are byte
 * offsets whatever the encoding is; every character that matters to the scanner is ASCII.
 */
export type Token = {
  /** `word` is folded to lower case, `identifier` was in double quotes, `string` in quotes. */
  kind: 'word' | 'identifier' | 'string' | 'symbol';
  /** The name or content, without quotes. */
  text: string;
  start: number;
  end: number;
};

/** The tokens of one statement, comments and white space left out. */
export type Statement = { tokens: Token[]; truncated: boolean };

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
