// What agents say holds secrets: in inputs and answers of tools, headers, URLs, files that were read. They are taken out
// before anything is written, also to the spool. Loaded by the hook: it imports nothing that takes time.

import { exactJson, mayHoldExactNumber, parseExactJson } from '../core/exact-json.js';

export const redacted = '[redacted]';

/** A longer text is cut, with a mark (UTF-16 units). */
export const fieldLimit = 65_536;

/** What is deeper is left out, with a mark. */
const deepest = 64;

/** Read beyond the limit, so that a secret across it is seen whole. */
const overlap = 8_192;

/**
 * Names whose value is a secret, without separators and in lower case. `tokens` counts; `token` is one. Several names may
 * stand in one text, with `|` between them.
 */
const secretName =
  /passw(or)?d|passphrase|secret|apikey|authorization|credential|privatekey|accesskey|accountkey|signingkey|encryptionkey|sharedkey|connectionstring|cookie|bearer(?:$|\|)|[^|]pwd(?:$|\|)|(?:db|database|e?mail|smtp|imap|user|root|admin|pg|mysql|redis|ftp|ssh|proxy|login)pass(?:$|\|)|(?<!next|page|continuation|cursor)token(?:$|\|)|(?:^|\|)auth(?:$|\|)/;

/** Each of them has one of these: looking for them costs a hook a third of what the expression does, which it then needs not compile. */
const inSecretNames = [
  ...['pass', 'pwd', 'secret', 'key', 'token', 'auth'],
  ...['cookie', 'credential', 'bearer', 'connection'],
];

function hasSecretName(names: readonly string[]): boolean {
  const text = names
    .join('|')
    .replace(/[-_.\s]/g, '')
    .toLowerCase();
  return inSecretNames.some((part) => text.includes(part)) && secretName.test(text);
}

/**
 * A value as it may be stored: without secrets by name or by shape at any depth, without NUL, and with long texts cut.
 *
 * @param value as JSON.parse gives it
 */
export function redact(value: unknown, limit = fieldLimit): unknown {
  return clean(value, limit, 0);
}

/**
 * The JSON text of a value as {@link redact} gives it. Where nothing looks like a secret, the text as a whole is searched
 * instead of each string in it, and is not made anew: a hook has no time for more. A doubt costs time only.
 *
 * @param source what JSON.parse made the value of; the same text is returned where it can stay
 */
export function redactedJson(value: unknown, source: string): string {
  const names: string[] = [];
  if (isWithinBounds(value, names, 0) && !hasSecretName(names)) {
    // A name that stands there twice hides its first value from the parser. Names in strings are counted as well: no matter.
    const isWhole = source.split('":').length - 1 === names.length;
    const text = isWhole ? source : exactJson(exactly(value, source));
    const isDoubtful =
      secretInJson.test(text) ||
      commandWord.test(text) ||
      (secretWord.test(text) && namedInJson.test(text));
    if (!isDoubtful) return text;
  }
  return exactJson(redact(exactly(value, source)));
}

/** What JSON.parse has rounded is read again. */
const exactly = (value: unknown, source: string): unknown =>
  mayHoldExactNumber(source) ? parseExactJson(source) : value;

/** Whether nothing is to be cut off, and no value is a secret by a name beside it; notes the names, each as often as it occurs. */
function isWithinBounds(value: unknown, names: string[], depth: number): boolean {
  if (typeof value === 'string') return value.length <= fieldLimit;
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= deepest) return false;
  if (Array.isArray(value)) {
    if (value.length === 2 && isSecretPair(value)) return false;
    for (const item of value) if (!isWithinBounds(item, names, depth + 1)) return false;
    return true;
  }
  const values: unknown[] = Object.values(value);
  const keys = Object.keys(value);
  if (isNamedSecret(keys, values)) return false;
  let index = 0;
  for (const name of keys) {
    if (name.length > fieldLimit || !isWithinBounds(values[index], names, depth + 1)) return false;
    names.push(name);
    index += 1;
  }
  return true;
}

/** What has nothing to take out stays the same object: of most values nothing has to be made anew. */
function clean(value: unknown, limit: number, depth: number): unknown {
  if (typeof value === 'string') return redactText(value, limit);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= deepest) return '[too deep]';
  if (Array.isArray(value)) return cleanArray(value, limit, depth + 1);
  const keys = Object.keys(value);
  const values: unknown[] = Object.values(value);
  const isOfSecret = isNamedSecret(keys, values);
  let entries: [string, unknown][] | undefined;
  let index = 0;
  for (const key of keys) {
    const item = values[index];
    const known = knownName(key);
    const isPlain = known.isPlain;
    const isSecret = known.isSecret || (isOfSecret && (key === 'value' || key === 'Value'));
    const name = isPlain && key.length <= limit ? key : redactText(key, limit);
    const next = isSecret && isSecretValue(item) ? redacted : clean(item, limit, depth + 1);
    if (!entries && (next !== item || name !== key))
      entries = keys.slice(0, index).map((before, at) => [before, values[at]]);
    entries?.push([name, next]);
    index += 1;
  }
  return entries ? Object.fromEntries(entries) : value;
}

/** `{"name": "Authorization", "value": "…"}`, as lists of headers and of variables of the environment are written. */
function isNamedSecret(keys: readonly string[], values: readonly unknown[]): boolean {
  if (keys.length < 2 || keys.length > 8) return false;
  // Most objects have no such name: nothing else is looked at.
  if (!keys.includes('value') && !keys.includes('Value')) return false;
  const at = keys.findIndex((key) => namesOfNames.has(key));
  const name = at < 0 ? undefined : values[at];
  return typeof name === 'string' && name.length <= 64 && label.test(name) && isSecretName(name);
}

/** A name, or a label of few words (`API key`), and no sentence that speaks of a secret. */
const label = /^[\w.-]+(?: [\w.-]+){0,2}$/;

/** Names of headers and of variables of the environment. `["token", "channel"]` is a list of names. */
const headerOrVariable = /^(?:[Cc]ookie|[Aa]uthorization|\w+(?:-\w+)+|[A-Z][A-Z\d_]*)$/;

const namesOfNames: ReadonlySet<string> = new Set(
  ['name', 'key', 'header', 'variable'].flatMap((name) => [
    name,
    name.charAt(0).toUpperCase() + name.slice(1),
  ]),
);

/** `["Cookie", "…"]` */
const isSecretPair = ([name, value, ...others]: readonly unknown[]): boolean =>
  typeof name === 'string' &&
  typeof value === 'string' &&
  others.length === 0 &&
  name.length <= 64 &&
  headerOrVariable.test(name) &&
  isSecretName(name) &&
  isSecretValue(value);

function cleanArray(values: readonly unknown[], limit: number, depth: number): readonly unknown[] {
  if (values.length === 2 && isSecretPair(values)) return [values[0], redacted];
  let copy: unknown[] | undefined;
  let index = 0;
  for (const item of values) {
    const next = clean(item, limit, depth);
    if (!copy && next !== item) copy = values.slice(0, index);
    copy?.push(next);
    index += 1;
  }
  return copy ?? values;
}

/** Whether its value is a secret, and whether nothing in the name itself is. */
type KnownName = { isSecret: boolean; isPlain: boolean };

const knownNames = new Map<string, KnownName>();

function knownName(name: string): KnownName {
  const known = knownNames.get(name);
  if (known !== undefined) return known;
  const isPlain = name.length < shortestSecret || redactText(name) === name;
  const found = { isSecret: hasSecretName([name]), isPlain };
  // Bounded, because names come from outside.
  if (knownNames.size >= 1_000) knownNames.clear();
  if (name.length <= 64) knownNames.set(name, found);
  return found;
}

export const isSecretName = (name: string): boolean => knownName(name).isSecret;

/** Booleans and empty values are no secrets; a number may be a PIN. */
const isSecretValue = (value: unknown): boolean =>
  value !== null && value !== '' && typeof value !== 'boolean';

/** Nothing shorter has the shape of a secret. */
const shortestSecret = 16;

/** Secrets by their own shape. */
const shapes =
  /\b(?:sk-[\w-]{16,}|(?:sk|rk|pk|whsec)_(?:live|test)_\w{10,}|gh[pousr]_\w{16,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{30,}|ya29\.[\w.-]{20,}|npm_\w{30,}|pypi-[\w-]{30,}|hf_\w{20,}|dop_v1_\w{30,}|SG\.[\w-]{10,}\.[\w-]{16,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)/g;

const privateKeys = /-----BEGIN [A-Z ]*PRIVATE KEY[A-Z ]*-----[\s\S]*?(?:-----END [A-Z ]*-----|$)/g;

/** A URL with a password, and a password alone before the host. */
const inUrl = /(\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s:/@"']*:)[^\s@/"']+(?=@)/gi;
const passwordOfUrl = /:\/\/[^\s:/@"']*:[^\s@/"']+@/;

const schemes = /\b(Bearer|Basic|Digest)\s+[\w.~+/=-]{8,}/gi;

/**
 * `NAME=value`, `"name": "value"`, `--name value`, `?name=value`; the value to its quote, or to the next blank, of a block of YAML its first line. It begins
 * with the words themselves, whatever stands before them: so a text is searched in one go. Each word is among the `beginnings` below.
 */
const pairs =
  /((?:passw(?:or)?d|passphrase|secret|api[_-]?key|authorization|credentials?|private[_-]?key|access[_-]?key|account[_-]?key|signing[_-]?key|encryption[_-]?key|connection[_-]?string|cookie|token|(?:pass|pwd)(?<=(?:db|database|e?mail|smtp|imap|user|root|admin|pg|mysql|redis|ftp|ssh|proxy|login)_(?:pass|pwd))|pat(?<=(?:github|gitlab|azure|npm)_pat)|auth(?<=(?:npm|docker|registry|http|proxy)_auth)|sig(?:nature)?(?<=[?&](?:x-(?:amz|goog)-)?sig(?:nature)?))(?:[_-]?(?:id|key|value|hash|base(?:64)?)){0,2}\\?["']?(?:\s*(?:=>|[=:])\s*|(?<=--[\w-]{1,64})\s+|(?<=passw(?:or)?d)\s+(?=')|[^\S\n]*\n\s*value:\s*|\s+value\s*=\s*(?=\\?["'])|(?<=\b(?:env|configure set)[^\S\n]{1,8}\w{1,64})[^\S\n]+|(?<=\blogin\s{1,8}\S{1,100}\s{1,8}password)\s+))((?:(?<=cookie:\s{0,8})[^\s=;"'`\\]+=[^"'`\\\n]+|[|>][-+]?[^\S\n]*\n[^\S\n]+[^\n]+|\\?"(?:[^"\\\n]|\\(?!").)*\\?"?|'[^'\n]*'?|`[^`\n]*`?|[^\s,;&'"`)}\]]+))/gi;

const webhooks = /\bhooks\.slack\.com\/services\/[\w/-]{20,}/g;

/** `<password>value</password>` */
const elements =
  /(<[\w:.-]{0,64}(?:passw(?:or)?d|passphrase|secret|api[_-]?key|token|credential)[\w:.-]{0,64}>)[^<\n]+(?=<\/)/gi;

/**
 * A command of curl, which may take several passwords. It goes on behind `\` at the end of a line, and ends at a blank with `|`, `;`
 * or `&` outside of quotes. An argument in quotes may go over lines, as a body does; the apostrophe of a word opens none.
 */
const curls =
  /\bcurl(?:\.exe)?[ \t](?:(?<=[\s=$]|\s-[a-zA-Z])(?:"[^"\\]*(?:\\[\s\S][^"\\]*)*"|'[^']*(?:'\\''[^']*)*')|"[^"\n]*"|'[^'\n]*'|[^\n ]| (?![|;&])|(?<=\\\r?)\n)*/g;

/** Within it: `-u user:password`, `-E file:password`, `--pass password` of a key; in quotes up to their end. */
const ofCurl =
  /((?<=\s)-(?:(?:[a-zA-Z]{0,5}[uUE][ =]*|-(?:proxy-)?(?:user|cert)[ =]+)\\?["']?[^\s:"'\\]{1,100}\\?["']?:\\?["']?|-(?:proxy-)?pass[ =]+\\?["']?))(?!\/\/)((?<="(?:[^\s:"'\\]{1,100}:)?)[^"\\\n]+|(?<='(?:[^\s:"'\\]{1,100}:)?)[^'\\\n]+|[^\s"'\\]+)/g;

/**
 * Passwords that other programs of the shell take: `sshpass -p`, `docker login -p`, `mysql -ppassword`. A
 * command goes on behind `\` at the end of a line, and ends at a blank with `|`, `;` or `&`.
 */
const commands =
  /(\bsshpass\s+-p\s*\\?["']?|\b(?:docker|podman) login (?:[^\n ]| (?![|;&])|(?<=\\\r?)\n){0,200}?-p(?<=\s-p)[\s=]+\\?["']?|\bmysql\w* (?:[^\n ]| (?![|;&])|(?<=\\\r?)\n){0,200}?-p(?<=\s-p)(?=[^\s-])\\?["']?)([^\s"'\\]+)/g;

/**
 * Whether a JSON text may hold what `shapes`, `privateKeys` or `inUrl` take out, or NUL: at least wherever they do. What stands
 * before a secret may be the end of an escape. Escapes of what needs none, and blanks before a colon, are doubts.
 */
const secretInJson =
  /PRIVATE KEY|\\(?:u(?!00[01])|u0000|\/)|"\s+:|:\/\/[^\s:/@"']*:[^\s@/"']+@|sk-(?<=(?:\W|\\[nrtbf]|\\u[0-9A-Fa-f]{4})sk-)[\w-]{16}|_(?:live|test)_\w{10}|(?:gh[pousr]|npm|hf)_\w{16}|_pat_\w{20}|_v1_\w{30}|glpat-[\w-]{16}|xox[abeprs]-[\w-]{10}|A(?:KIA|SIA)[0-9A-Z]{16}|AIza[\w-]{30}|ya29\.[\w.-]{20}|pypi-[\w-]{30}|SG\.[\w-]{10}|eyJ[\w-]{8,}\./;

/** The same of `schemes`, `pairs` and `elements`. Blanks and quotes may be escapes. */
const namedInJson =
  /(?:bearer|basic|digest)(?:\s|\\[nrtf]|\\u[0-9a-f]{4})+[\w.~+/=-]{8}|(?:passw(?:or)?d|passphrase|secret|(?:api|private|access|account|signing|encryption)[_-]?key|authorization|credentials?|connection[_-]?string|cookie|token|_(?:pass|pwd|pat|auth)|[?&-]sig(?:nature)?)(?:[_-]?(?:id|key|value|hash|base(?:64)?)){0,2}(?:\\*["']?(?:\s|\\[nrtf]|\\u[0-9a-f]{4})*[=:']|(?:\s|\\[nrtf])*value:|\\*["'](?:\s|\\[nrtf])+value(?:\s|\\[nrtf])*=|(?<=(?:env|configure set)(?:\s|\\t){1,8}\w{1,64})(?:\s|\\t)|[\w:.-]{0,64}>|(?<=--[\w-]{1,64})(?:\s|\\[nrtf]|\\u[0-9a-f]{4})|(?<=login.{1,120}password)(?:\s|\\[nrtf]))/i;

/** What `schemes`, `pairs` and `namedInJson` begin with, compiled in a fifth of their time: most texts have none of it. */
const secretWord =
  /[Bb][Ee][Aa][Rr][Ee][Rr]|[Bb][Aa][Ss][Ii][Cc]|[Dd][Ii][Gg][Ee][Ss][Tt]|[Pp][Aa][Ss][Ss](?:[Ww]|[Pp][Hh])|[Ss][Ee][Cc][Rr][Ee][Tt]|[Kk][Ee][Yy]|[Aa][Uu][Tt][Hh][Oo]|[Cc](?:[Rr][Ee][Dd]|[Oo][Nn][Nn][Ee]|[Oo][Oo][Kk])|[Tt][Oo][Kk][Ee]|_(?:[Pp](?:[Aa](?:[Ss][Ss]|[Tt])|[Ww][Dd])|[Aa][Uu][Tt][Hh])[=:"'\\ ]|[?&-][Ss][Ii][Gg]/;

/** Whether a short text, of which there are many, needs the closer look. */
const suspicious =
  /PRIVATE KEY|pass(?:w|phrase)|secret|key|authorization|credential|connection|cookie|token|:\/\/[^\s/]*@|_pa|_pwd|_auth|[?&-]sig|curl|sshpass|login|mysql|slack|\b(?:bearer|basic|digest)\s|sk-|[srp]k_|whsec|gh[pousr]_|github_pat|glpat|xox|AKIA|ASIA|AIza|ya29|npm_|pypi-|hf_|dop_v1|SG\.|eyJ/i;
const shortText = 256;
/** No shorter text holds a secret. */
const shortestText = 6;

/** Characters that were looked at: after so many the signs' tables and expressions have been worth their making. */
let seen = 0;
const manyCharacters = 1 << 19;
let signs: Signs | undefined;

function mayHoldSecret(text: string): boolean {
  if (text.length <= shortestText) return false;
  if (seen > manyCharacters) return (signs ??= new Signs()).areIn(text);
  seen += text.length;
  return text.length > shortText || suspicious.test(text);
}

/** What `curls`, `commands` and `webhooks` need, at least in part: every text is searched for it. */
const commandWord = /curl[ \t.\\]|shpas|login |mysql|s\.slack/;
/** Longer texts are no commands. */
const longestCommand = 16_384;

/** What can be taken out has one of these beginnings, and where it begins, or behind the `+` in it, what is beside them. */
const beginnings = (): [beginnings: string, sign: RegExp][] => [
  ['privat', /PRIVATE KEY/],
  [
    'sk- sk_ rk_ pk_ whsec_ ghp_ gho_ ghu_ ghs_ ghr_ github_p glpa xox akia asia aiz ya2 npm_ pyp hf_ dop_v sg. eyj',
    shapes,
  ],
  ['://', passwordOfUrl],
  ['curl shpa logi mysq s.sla', commandWord],
  [
    'passw passp secr apik api_k api-k toke crede',
    /(?:passw(?:or)?d|passphrase|secret|api[_-]?key|token|credential)[\w:.-]{0,64}>[^<\n]+<\//i,
  ],
  ['bea basi dige', schemes],
  ['passw passp secr apik api_k api-k toke crede authoriz cooki connec signi encry', pairs],
  ['accessk access_k access-k accountk account_k account-k privatek private_k private-k', pairs],
  ['_+pa _+pw _+au ?+si -+si', pairs],
];

/**
 * Looks for the last three letters of all beginnings at once: most texts have no secret, and this takes a tenth of the time
 * in which all expressions find that. Letters are numbers under 32, whatever their case.
 */
class Signs {
  readonly #kinds = new Uint8Array(256);
  /** By the numbers of three letters which list: the first one is of none. */
  readonly #ends = new Uint8Array(1 << 15);
  readonly #lists: { back: number; sign: RegExp }[][] = [[]];
  /** The text, with others in place of letters beyond Latin-1: over bytes a loop is the fastest. */
  #bytes = Buffer.allocUnsafe(fieldLimit + overlap);

  constructor() {
    for (let letter = 1; letter <= 26; letter += 1)
      for (const before of [64, 96]) this.#kinds[before + letter] = letter;
    for (const [index, alike] of ['0123456789', '-', '_', '.', ':/?&'].entries())
      for (let at = 0; at < alike.length; at += 1) this.#kinds[alike.charCodeAt(at)] = 27 + index;
    for (const [words, { source, flags }] of beginnings()) {
      const sign = new RegExp(source, `${flags.replace('g', '')}y`);
      for (const word of words.split(' ')) {
        const end = this.#write(word.replace('+', ''));
        const last = this.#lastThree(end);
        if (this.#ends[last] === 0) this.#ends[last] = this.#lists.push([]) - 1;
        const back = end - Math.max(0, word.indexOf('+'));
        this.#lists[this.#ends[last] ?? 0]?.push({ back, sign });
      }
    }
  }

  areIn(text: string): boolean {
    const length = this.#write(text);
    for (let end = this.#nextEnd(2, length); end > 0; end = this.#nextEnd(end, length)) {
      for (const { back, sign } of this.#lists[this.#ends[this.#lastThree(end)] ?? 0] ?? []) {
        sign.lastIndex = end - back;
        if (end >= back && sign.test(text)) return true;
      }
    }
    return false;
  }

  #write(text: string): number {
    if (text.length > this.#bytes.length) this.#bytes = Buffer.allocUnsafe(text.length);
    return this.#bytes.write(text, 'latin1');
  }

  /** The number of the three letters before a place. */
  #lastThree(end: number): number {
    const kinds = [3, 2, 1].map((back) => this.#kinds[this.#bytes[end - back] ?? 0] ?? 0);
    return kinds.reduce((last, kind) => (last << 5) | kind, 0);
  }

  /** The next place behind the last three letters of a beginning; 0: there is none. */
  #nextEnd(before: number, length: number): number {
    const [bytes, kinds, ends] = [this.#bytes, this.#kinds, this.#ends];
    let last = 0;
    for (let at = before - 2; at < length; at += 1) {
      last = ((last << 5) | (kinds[bytes[at] ?? 0] ?? 0)) & 0x7fff;
      if (ends[last] !== 0 && at >= before) return at + 1;
    }
    return 0;
  }
}

/** A text without NUL, without secrets, and no longer than the limit. */
export function redactText(text: string, limit = fieldLimit): string {
  let result = text.length > limit + overlap ? text.slice(0, limit + overlap) : text;
  if (result.includes('\0')) result = result.replaceAll('\0', '');
  if (mayHoldSecret(result)) {
    if (result.includes('PRIVATE KEY')) result = result.replace(privateKeys, redacted);
    result = result.replace(shapes, redacted);
    if (passwordOfUrl.test(result)) result = result.replace(inUrl, `$1${redacted}`);
    if (result.length <= longestCommand && commandWord.test(result)) {
      result = result.replace(curls, (command) => command.replace(ofCurl, `$1${redacted}`));
      result = result.replace(commands, `$1${redacted}`).replace(webhooks, redacted);
    }
    if (secretWord.test(result)) {
      if (result.includes('</')) result = result.replace(elements, `$1${redacted}`);
      result = result.replace(schemes, `$1 ${redacted}`);
      result = result.replace(pairs, (pair, name: string, value: string) =>
        isHarmless(value) ? pair : name + masked(value),
      );
    }
  }
  if (result.length <= limit && text.length <= limit + overlap) return result;
  const cut = Math.max(0, text.length - limit);
  return `${result.slice(0, wholeLength(result, limit))}… [${cut} more characters cut]`;
}

/** Values that are no secrets: placeholders, counts, and our own marks. */
const isHarmless = (value: string): boolean =>
  /^["'`\\]*(?:\[redacted\]?|\*+|<[^>]*>|\d{1,7}|true|false|null|undefined|none|string|number)?["'`\\]*$/i.test(
    value,
  );

/** Keeps the quotes, so that JSON within a text stays JSON. */
function masked(value: string): string {
  const [, open = ''] = /^(\\?["'`])/.exec(value) ?? [];
  return open !== '' && value.length > open.length && value.endsWith(open)
    ? open + redacted + open
    : redacted;
}

/** No half of a surrogate pair at the end. */
function wholeLength(text: string, limit: number): number {
  const last = text.charCodeAt(limit - 1);
  return last >= 0xd800 && last <= 0xdbff ? limit - 1 : limit;
}
