import { parseDuration } from '../shared/format/duration.js';
import { formatValue } from './cells.js';
import type { AnyPane, CellContext, CellValue, Column } from './pane.js';

/** Which rows of a pane are shown. */
export type Filter = {
  matches(row: object, context: CellContext): boolean;
};

/** A filter, or what is wrong with the text. `undefined`: everything is shown. */
export type ParsedFilter = { filter: Filter | undefined } | { error: string };

type Field = Pick<Column<object>, 'id' | 'title' | 'format' | 'value'>;
type Operator = ':' | '=' | '>' | '>=' | '<' | '<=';
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
export function parseFilter(text: string, pane: Pick<AnyPane, 'columns' | 'fields'>): ParsedFilter {
  const source = text.trim();
  if (source === '') return { filter: undefined };
  const fields: readonly Field[] = [...pane.columns, ...(pane.fields ?? [])];
  const tests: Test[] = [];
  term.lastIndex = 0;
  while (term.lastIndex < source.length) {
    const match = term.exec(source);
    if (!match) return { error: 'a quote stands in the middle of a word' };
    const [, not, name, operator, quoted, closing, word] = match;
    if (quoted !== undefined && closing === '') return { error: 'a quote is not closed' };
    const made = testOf(fields, name, operator as Operator | undefined, quoted ?? word);
    if (typeof made === 'string') return { error: made };
    tests.push(not === '!' ? (row, context) => !made(row, context) : made);
  }
  return { filter: { matches: (row, context) => tests.every((test) => test(row, context)) } };
}

function testOf(
  fields: readonly Field[],
  name: string | undefined,
  operator: Operator | undefined,
  value: string | undefined,
): Test | string {
  if (name === undefined || operator === undefined) {
    if (value === undefined) return 'something must follow the !';
    const wanted = value.toLowerCase();
    return (row, context) => fields.some((field) => textsOf(field, row, context).some(has(wanted)));
  }
  const field = fieldOf(fields, name);
  if (typeof field === 'string') return field;
  if (value === undefined) return `something must follow ${name}${operator}`;
  if (operator === ':' || operator === '=') {
    const wanted = value.toLowerCase();
    const holds = operator === ':' ? has(wanted) : (text: string) => text === wanted;
    return (row, context) => textsOf(field, row, context).some(holds);
  }
  return comparison(field, operator, value);
}

const has = (wanted: string) => (text: string) => text.includes(wanted);

function fieldOf(fields: readonly Field[], name: string): Field | string {
  const wanted = name.toLowerCase();
  const names = ({ id, title }: Field) => [id.toLowerCase(), title.toLowerCase()];
  const exact = fields.find((field) => names(field).includes(wanted));
  if (exact) return exact;
  const begun = fields.filter((field) => names(field).some((known) => known.startsWith(wanted)));
  const [only] = begun;
  if (only && begun.length === 1) return only;
  if (only) return `${name} may be ${begun.map(({ id }) => id).join(' or ')}`;
  return `no column ${name}; there are ${fields.map(({ id }) => id).join(', ')}`;
}

/** As it is shown, and as it is: a count is found as `12,345` and as `12345`. */
function textsOf(field: Field, row: object, context: CellContext): string[] {
  const value = field.value(row);
  const shown = formatValue(value, field.format, context).toLowerCase();
  return typeof value === 'number' ? [shown, String(value)] : [shown];
}

function comparison(field: Field, operator: Operator, value: string): Test | string {
  const limit = limitOf(field, value);
  if (limit === undefined) {
    return `${field.id}${operator} takes ${exampleOf(field)}, not "${value}"`;
  }
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
  if (typeof value === 'string') return value === '' ? undefined : Number(value);
  return value === null ? undefined : Number(value);
}

const byteUnits = ['b', 'kb', 'mb', 'gb', 'tb'];
const countUnits: Readonly<Record<string, number>> = { k: 1e3, m: 1e6, g: 1e9 };

function limitOf({ format }: Field, text: string): number | undefined {
  const plain = /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : undefined;
  switch (format) {
    case 'duration':
      return text === '0' ? 0 : (parseDuration(text) ?? plain);
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

function percent(text: string): number | undefined {
  return text !== '' && Number.isFinite(Number(text)) ? Number(text) / 100 : undefined;
}

function bytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([kmgt]?b)$/i.exec(text);
  const unit = byteUnits.indexOf(match?.[2]?.toLowerCase() ?? '');
  return match && unit >= 0 ? Number(match[1]) * 1024 ** unit : undefined;
}

function counted(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([kmg])$/i.exec(text);
  const unit = countUnits[match?.[2]?.toLowerCase() ?? ''];
  return match && unit !== undefined ? Number(match[1]) * unit : undefined;
}

function exampleOf({ format }: Field): string {
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
