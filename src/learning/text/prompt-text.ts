import { firstOf } from '../../core/values.js';

/** Characters of a prompt that are looked at; what a person asks for stands at its start or before a paste. */
const looked = 8_000;
/** Characters of the canonical text: an embedding of more says less about each sentence. */
const kept = 1_000;

const fences = /```[\s\S]*?(?:```|$)/g;
/** Lines of logs and stack traces: they begin with a time, a level, a frame. */
const pastedLine =
  /^\s*(?:\[?\d{1,4}[-:/.]\d{2}[-:/.T\d]*|(?:INFO|WARN|ERROR|DEBUG|TRACE)\b|at \S+ ?\(|File "|Traceback |goroutine \d+|>|\+\+\+|---|@@).*$/gm;
const urls = /\b[a-z][a-z0-9+.-]*:\/\/\S+/gi;
const ids =
  /\b(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=[0-9a-f]*\d)[0-9a-f]{7,64})\b/gi;
const paths =
  /(?:\.{0,2}[/\\])?(?:[\w.@~-]+[/\\])+[\w.@~-]*|\b(?!(?:node|next|nuxt|vue|react|express|three|chart|xterm|socket|discord|d3)\.js\b)[\w-]+\.(?:[cm]?[jt]sx?|py|go|rs|rb|java|kt|c|h|cc|cpp|hpp|cs|php|sh|sql|md|json|ya?ml|toml|txt|css|html?|xml|lock|log)\b/gi;
const quoted = /"[^"\n]{1,120}"|`[^`\n]{1,120}`|“[^”\n]{1,120}”|«[^»\n]{1,120}»/g;
const numbers = /#?\d[\d.,:%]*/g;
/** What a person says to be polite before the request: "Great! Can you also …", "Hello Claude, could you help me …". */
const politeStart =
  /^(?:(?:(?:hello|hi|hey)(?: (?:claude|codex|gemini|there|again))?|(?:great|perfect|nice|cool|good|awesome|excellent|thanks|thank you)(?: (?:job|work|so much|a lot))?[,.!]|ok(?:ay)?[,.!]?|please|(?:can|could|would|will) you(?: please| also)*(?: help me(?: to)?)?)(?=[\s,.!?]|$)[\s,.!]*)+/i;

/**
 * What a prompt asks for, without what it is asked about: no pasted code, logs, URLs, paths, quoted parts
 * and numbers, no greeting before it, white space as single spaces, at most 1,000 characters. Two prompts that differ only in
 * these are the same request.
 */
export function requestText(prompt: string): string {
  const text = firstOf(prompt, looked)
    .replace(fences, ' ')
    .replace(pastedLine, ' ')
    .replace(urls, ' ')
    .replace(quoted, ' ')
    .replace(paths, ' ')
    .replace(ids, ' ')
    .replace(numbers, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .replace(politeStart, '');
  return firstOf(text, kept);
}

/** Words that say nothing about what is asked for. */
const stopWords = new Set(
  (
    'a about after again all also am an and any are as at be because been before being but by can could did do does ' +
    'doing done for from get give go got had has have he her here him his how i if in into is it its just let like ' +
    'me more most my need no not now of off on once one only or other our out over please s she should so some still ' +
    't than thank thanks that the their them then there these they this those to too under until up us very want was ' +
    'we were what when where which while who why will with would yes you your'
  ).split(' '),
);

/**
 * The words of a text in lower case, in their order; letters of any script. A run of Chinese, Japanese or
 * Thai counts as one word: embeddings look into it by its characters.
 */
export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{M}]+(?:['’][\p{L}]+)?/gu) ?? [];
}

/** Also with what is short for another such word: "here's", "we're". */
export function isStopWord(word: string): boolean {
  return stopWords.has(word) || stopWords.has(word.replace(/['’](?:s|re|ve|ll|d|m)$/, ''));
}

/** Ends that English puts on a word, longest first; enough to bring "fails", "failed", "failing" together. */
const ends: readonly [end: string, put: string][] = [
  ['ational', 'ate'],
  ['ization', 'ize'],
  ['isation', 'ise'],
  ['ically', 'ic'],
  ['ingly', ''],
  ['ations', 'ate'],
  ['ation', 'ate'],
  ['ments', 'ment'],
  ['ies', 'y'],
  ['ied', 'y'],
  ['ing', ''],
  ['edly', ''],
  ['sses', 'ss'],
  ['ed', ''],
  ['es', ''],
  ['ly', ''],
  ['s', ''],
];

/** A word without its English end; other words come out as they are, or nearly so. */
export function stem(word: string): string {
  if (word.length < 4) return word;
  for (const [end, put] of ends) {
    if (!word.endsWith(end)) continue;
    const root = word.slice(0, -end.length) + put;
    if (root.length < 3 || (end === 's' && word.endsWith('ss'))) return word;
    // "stopping" → "stop", "updates" and "updating" → "updat"
    const doubled = root.at(-1) === root.at(-2) && !/[lsz]$/.test(root);
    return (doubled ? root.slice(0, -1) : root).replace(/e$/, '');
  }
  return word.replace(/e$/, '');
}

/** The stems of a text's words that mean something, in their order. */
export function meaningfulStems(text: string): string[] {
  return wordsOf(text)
    .filter((word) => !isStopWord(word))
    .map(stem);
}

/** Fewer words that mean something say too little: "go on", "fix it". */
const leastWords = 2;

/** The request of a prompt; undefined when it says too little. */
export function requestOf(prompt: string | null): string | undefined {
  if (prompt === null) return undefined;
  const request = requestText(prompt);
  // A language without spaces between words says much in one.
  const says =
    new Set(meaningfulStems(request)).size >= leastWords || /[^\p{ASCII}]{6}/u.test(request);
  return says ? request : undefined;
}

/** Characters and words of a name: it fits into the column of its pane. */
const longestName = 32;
const mostNamed = 4;

/** What shows how something is done is named by what is done. */
const shown = /^(?:show|tell|teach) (?:me|us) how (?:to|i can|we can) /i;
/** A sentence that only says what there is: what is asked for stands behind its "to". */
const statement = /^(?:(?:this|that|it|here|there)(?:['’]s| is| are)|is there) .*? to (?=\p{L})/iu;
const negation =
  /^(?:(?:do|does|did|is|are|was|were|has|have|ca|wo|could|should|would)n['’]?t|cannot|not|never)$/;
/** A clause may end before these, and at punctuation, once there are two words. */
const clauseStarts = new Set(
  'and because but if maybe or since so that then to until when where which while who'.split(' '),
);
/** "convert … to …": there "to" does not begin a purpose. */
const takesTo =
  /^(?:chang|compar|convert|deploy|downgrad|export|migrat|mov|point|port|push|renam|send|switch|transform|translat|turn|upgrad|upload)/;
/** Say nothing by themselves; "seem to start" is one thing. */
const hollow = new Set(
  'able appear appears going have need seem seems tried try trying used want'.split(' '),
);

/**
 * What a group of prompts is called: the first words of its first request that say something, up to the end of a
 * clause, and what it says that something does not do: `run_example`, `mix_phx_server_not_start`. A slash command is called
 * by its own name. Undefined where no word is left.
 *
 * @param prompt the group's first
 * @param shared words that are frequent in the group's prompts, in lower case
 */
export function nameOf(prompt: string, shared: ReadonlySet<string>): string | undefined {
  const request = requestText(prompt);
  const command = /^\/[\p{L}\p{N}:_-]+/u.exec(request)?.[0];
  if (command !== undefined) return joined([command]);
  const text = request.replace(shown, '').replace(statement, '');
  const words: string[] = [];
  let before = '';
  let isNegated = false;
  for (const token of text.split(' ')) {
    const word = token.toLowerCase().replace(/^[^\p{L}]+|[^\p{L}\p{M}]+$/gu, '');
    const isPurpose = word !== 'to' || !(hollow.has(before) || takesTo.test(words[0] ?? ''));
    if (words.length >= 2 && isPurpose && clauseStarts.has(word) && !isNegated) break;
    before = word;
    if (token === 'NOT') words.push('not');
    else if (negation.test(word)) isNegated = true;
    else if (
      !hollow.has(word) &&
      !clauseStarts.has(word) &&
      (isShared(word, shared) || isShort(token))
    ) {
      // "Don't change …" says on what.
      if (isNegated && words.length > 0) return joined(words, `not_${word}`);
      words.push(isNegated ? `not ${word}` : word);
      isNegated = false;
    }
    const isEnd = /[.,;:!?)]["'”’)]*$/.test(token) || token.startsWith('(');
    if (isEnd && words.length >= 2) break;
  }
  return joined(words);
}

/** Characters of a word that are counted. */
export const longestWord = 40;

/** Of a word of several parts, "phx.server", all that say something are shared. */
function isShared(word: string, shared: ReadonlySet<string>): boolean {
  const parts = wordsOf(word).filter((part) => part.length > 2 && !isStopWord(part));
  return (
    parts.length > 0 &&
    !isStopWord(word) &&
    parts.every((part) => shared.has(firstOf(part, longestWord)))
  );
}

/** PR, CI, UI: counters of words leave so short ones out. */
function isShort(token: string): boolean {
  return /^\p{Lu}{2}[.,;:!?]*$/u.test(token);
}

/** The first words that have room; the last one, which says what does not work, always. */
function joined(words: readonly string[], last?: string): string | undefined {
  const names = [...new Set(words)].map((word) => wordsOf(word).join('_'));
  const room = longestName - (last === undefined ? 0 : last.length + 1);
  const kept: string[] = [];
  for (const name of names) {
    if (kept.length >= mostNamed || [...kept, name].join('_').length > room) break;
    kept.push(name);
  }
  const all = [
    ...(kept.length === 0 ? names.slice(0, 1) : kept),
    ...(last === undefined ? [] : [last]),
  ];
  return all.length === 0 ? undefined : firstOf(all.join('_'), 512);
}
