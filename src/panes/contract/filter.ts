import { parseDuration } from '../../core/format/time.js';
import { readNumber } from '../../core/values.js';
import { nearestWord } from '../../core/nearest.js';
import { formatValue, type CellContext, type CellValue, type Column } from './column.js';

/** Which rows of a pane are shown. */
export type Filter = {
  matches(row: object, context: CellContext): boolean;
};

/** A filter, or what is wrong with the text. `undefined`: everything is shown. */
export type ParsedFilter = { filter: Filter | undefined } | { error: string };

type Field = Pick<Column<object>, 'id' | 'title' | 'format' | 'value'>;
/** A pane, or a list: rows are filtered by their columns, and by what else is known of them. */
type Filterable = { columns: readonly Field[]; fields?: readonly Field[] };
/** What names a field and says how its limits are written. */
export type FilterField = Pick<Field, 'id' | 'title' | 'format'>;
export type Operator = ':' | '=' | '>' | '>=' | '<' | '<=';

/** A part of a filter; all of them must hold. */
export type FilterTerm<Named extends FilterField = FilterField> = {
  /** It holds where the rest of it does not. */
  isNot: boolean;
  /** Absent: the text stands in any of them. */
  field?: Named;
  operator: Operator;
  /** As it was typed. */
  text: string;
  /** What `>`, `>=`, `<` and `<=` compare with: milliseconds, bytes, a share, a count; of a time its age. */
  limit?: number;
};

/** A filter that can be read, written with the units of its limits (`took>500` is `took>500ms`); or what is wrong with it, and the terms before that. */
export type FilterText = { whole: string } | { error: string; before: string };
type Test = (row: object, context: CellContext) => boolean;

/** A term: perhaps turned round, perhaps of one field, its text perhaps in quotes. */
const term = /(!?)(?:([A-Za-z][\w-]*)(:|>=|<=|=|>|<))?(?:"([^"]*)("?)|([^\s"]+))?(\s+|$)/y;

/**
 * Reads `text`, terms parted by blanks, all of which must hold:
 * - `word` or `"some words"`: in any column, whatever the case;
 * - `field:word`, `field=word`: in that column, or all of it;
 * - `field>2s`, `>=`, `<`, `<=`: numbers, shares (`80%`), bytes (`10MB`), durations, and ages of times (`last<5m`);
 * - `!` before a term turns it round.
 *
 * A field is a column by its id or its title, or the beginning of one.
 */
export function readTerms<Named extends FilterField>(
  text: string,
  fields: readonly Named[],
):
  | ({ terms: readonly FilterTerm<Named>[] } & { whole: string })
  | { error: string; before: string } {
  const source = text.trim();
  const terms: FilterTerm<Named>[] = [];
  let whole = '';
  term.lastIndex = 0;
  while (term.lastIndex < source.length) {
    const before = whole.trim();
    const match = term.exec(source);
    if (!match) return { error: 'a quote stands in the middle of a word', before };
    const [all, not, name, operator, quoted, closing, word] = match;
    if (quoted !== undefined && closing === '') return { error: 'a quote is not closed', before };
    const read = termOf(fields, name, operator as Operator | undefined, quoted ?? word);
    if (typeof read === 'string') return { error: read, before };
    terms.push({ ...read, isNot: not === '!' });
    whole +=
      read.limit === undefined || word === undefined
        ? all
        : `${all.slice(0, all.lastIndexOf(word))}${withUnit(word, read)} `;
  }
  return { terms, whole: whole.trim() };
}

/** A limit that was typed as a bare number, with the unit in which it is compared. */
function withUnit(word: string, { field, limit = 0 }: Pick<FilterTerm, 'field' | 'limit'>): string {
  if (!plainNumber.test(word)) return word;
  switch (field?.format) {
    case 'duration':
      return `${word}ms`;
    case 'bytes':
    case 'byteChange':
      return `${word}B`;
    case 'share':
    case 'change':
      return `${Math.round(limit * 1e8) / 1e6}%`;
    default:
      return word;
  }
}

const plainNumber = /^-?\d+(?:\.\d+)?$/;

/** A text of a filter as {@link FilterText}. */
export function filterText(text: string, fields: readonly FilterField[]): FilterText {
  const read = readTerms(text, fields);
  return 'error' in read ? read : { whole: read.whole };
}

/** The field that a name means; undefined: there is none, or there are several. */
export function fieldNamed<Named extends FilterField>(
  fields: readonly Named[],
  name: string,
): Named | undefined {
  const field = fieldOf(fields, name);
  return typeof field === 'string' ? undefined : field;
}

/** A filter of rows that are there; {@link readTerms} says what may be typed. */
export function parseFilter(text: string, pane: Filterable): ParsedFilter {
  const fields: readonly Field[] = [...pane.columns, ...(pane.fields ?? [])];
  const read = readTerms(text, fields);
  if ('error' in read) return read;
  if (read.terms.length === 0) return { filter: undefined };
  const tests = read.terms.map((each) => testOf(each, fields));
  return { filter: { matches: (row, context) => tests.every((test) => test(row, context)) } };
}

function termOf<Named extends FilterField>(
  fields: readonly Named[],
  name: string | undefined,
  operator: Operator | undefined,
  text: string | undefined,
): Omit<FilterTerm<Named>, 'isNot'> | string {
  if (name === undefined || operator === undefined) {
    return text === undefined ? 'something must follow the !' : { operator: ':', text };
  }
  const field = fieldOf(fields, name);
  if (typeof field === 'string') return field;
  if (text === undefined) return `something must follow ${name}${operator}`;
  if (operator === ':' || operator === '=') return { field, operator, text };
  const limit = limitOf(field, text);
  if (limit !== undefined) return { field, operator, text, limit };
  return `${field.id}${operator} takes ${exampleOf(field)}, not "${text}"`;
}

function testOf(
  { isNot, field, operator, text, limit }: FilterTerm<Field>,
  fields: readonly Field[],
): Test {
  const wanted = text.toLowerCase();
  const holds = operator === '=' ? (found: string) => found === wanted : has(wanted);
  const searched = field ? [field] : fields;
  const test: Test =
    field && limit !== undefined
      ? comparison(field, operator, limit)
      : (row, context) => searched.some((each) => textsOf(each, row, context).some(holds));
  return isNot ? (row, context) => !test(row, context) : test;
}

const has = (wanted: string) => (text: string) => text.includes(wanted);

function fieldOf<Named extends FilterField>(
  fields: readonly Named[],
  name: string,
): Named | string {
  const wanted = name.toLowerCase();
  const names = ({ id, title }: Named) => [id.toLowerCase(), title.toLowerCase()];
  const exact = fields.find((field) => names(field).includes(wanted));
  if (exact) return exact;
  const begun = fields.filter((field) => names(field).some((known) => known.startsWith(wanted)));
  const [only] = begun;
  if (only && begun.length === 1) return only;
  if (only) return `${name} may be ${begun.map(({ id }) => id).join(' or ')}`;
  const ids = fields.map(({ id }) => id);
  const nearest = nearestWord(name, [...fields.map(({ title }) => title), ...ids]);
  const meant = nearest === undefined ? '' : `did you mean ${nearest}? `;
  return `no column ${name}; ${meant}there are ${ids.join(', ')}`;
}

/** As it is shown, and as it is: a count is found as `12,345` and as `12345`. */
function textsOf(field: Field, row: object, context: CellContext): string[] {
  const value = field.value(row);
  const shown = formatValue(value, field.format, context).toLowerCase();
  return typeof value === 'number' ? [shown, String(value)] : [shown];
}

function comparison(field: Field, operator: Operator, limit: number): Test {
  return (row, context) => {
    const found = comparable(field.value(row), context);
    if (found === undefined) return false;
    switch (operator) {
      case '>':
        return found > limit;
      case '>=':
        return found >= limit;
      case '<':
        return found < limit;
      default:
        return found <= limit;
    }
  };
}

/** A time is compared by its age in milliseconds. */
function comparable(value: CellValue, { nowMs }: CellContext): number | undefined {
  if (value instanceof Date) return nowMs - value.getTime();
  if (typeof value === 'string') return value === '' ? undefined : readNumber(value);
  return value === null ? undefined : Number(value);
}

const byteUnits = ['b', 'kb', 'mb', 'gb', 'tb'];
const countUnits: ReadonlyMap<string, number> = new Map([
  ['k', 1e3],
  ['m', 1e6],
  ['g', 1e9],
]);

function limitOf({ format }: FilterField, text: string): number | undefined {
  const plain = plainNumber.test(text) ? safe(readNumber(text)) : undefined;
  switch (format) {
    case 'duration':
      return /^0(ms)?$/.test(text) ? 0 : (parseDuration(text) ?? plain ?? milliseconds(text));
    case 'age':
    case 'clock':
    case 'timestamp':
      return parseDuration(text);
    case 'share':
    case 'change':
      return text.endsWith('%') ? percent(text.slice(0, -1)) : plain;
    case 'bytes':
    case 'byteChange':
      return bytes(text) ?? plain;
    case 'count':
    case 'rate':
      return counted(text) ?? plain;
    default:
      return plain;
  }
}

const safe = (number: number): number | undefined => (Number.isFinite(number) ? number : undefined);

/** As {@link withUnit} writes what is no length of time: `-5ms`. */
function milliseconds(text: string): number | undefined {
  const number = text.endsWith('ms') ? text.slice(0, -2) : '';
  return plainNumber.test(number) ? safe(readNumber(number)) : undefined;
}

function percent(text: string): number | undefined {
  return safe(readNumber(text) / 100);
}

function bytes(text: string): number | undefined {
  const match = /^(-?\d+(?:\.\d+)?)([kmgt]?b)$/i.exec(text);
  const unit = byteUnits.indexOf(match?.[2]?.toLowerCase() ?? '');
  return match && unit >= 0 ? safe(readNumber(match[1]) * 1024 ** unit) : undefined;
}

function counted(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([kmg])$/i.exec(text);
  const unit = countUnits.get(match?.[2]?.toLowerCase() ?? '');
  return match && unit !== undefined ? safe(readNumber(match[1]) * unit) : undefined;
}

function exampleOf({ format }: FilterField): string {
  switch (format) {
    case 'duration':
    case 'age':
    case 'clock':
    case 'timestamp':
      return 'a time such as 500ms, 2s, 5m';
    case 'share':
      return 'a share such as 80%';
    case 'change':
      return 'a change such as 20% or -20%';
    case 'bytes':
    case 'byteChange':
      return 'bytes such as 10MB';
    default:
      return 'a number';
  }
}
