import { decodeValue, encodeValue } from './codec.js';

/** Rows of one reading by those of the one before: `[from, count]` repeats a run of them, an object is a new row. */
export type RowDelta = readonly ([from: number, count: number] | object)[];

/** JSON of rows that were written before; most rows of a reading are those of the last one. */
const written = new WeakMap<object, string>();

function jsonOf(row: object): string {
  let json = written.get(row);
  if (json === undefined) {
    json = JSON.stringify(encodeValue(row));
    written.set(row, json);
  }
  return json;
}

/**
 * What has to be written of `rows` when `before` is known: of a tail of 1,000 events the few new ones, of
 * a table those rows whose figures have changed.
 */
export function rowDelta(before: readonly object[], rows: readonly object[]): RowDelta {
  const places = new Map<string, number>();
  for (const [index, row] of before.entries()) places.set(jsonOf(row), index);
  const delta: ([number, number] | object)[] = [];
  for (const row of rows) {
    const json = jsonOf(row);
    const from = places.get(json);
    if (from === undefined) {
      delta.push(JSON.parse(json) as object);
      continue;
    }
    const last = delta.at(-1);
    if (Array.isArray(last) && (last[0] as number) + (last[1] as number) === from) {
      (last as [number, number])[1] += 1;
    } else {
      delta.push([from, 1]);
    }
  }
  return delta;
}

/**
 * The rows again; those that are repeated are the same objects.
 *
 * @throws RangeError when the delta is not one of `before`
 */
export function applyRowDelta(before: readonly object[], delta: RowDelta): object[] {
  return delta.flatMap((piece) => {
    if (!Array.isArray(piece)) return [decodeValue(piece) as object];
    const [from, count] = piece as [number, number];
    if (!(from >= 0 && count > 0 && from + count <= before.length)) {
      throw new RangeError(`rows ${from} to ${from + count} of ${before.length}`);
    }
    return before.slice(from, from + count);
  });
}
