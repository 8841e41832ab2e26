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
