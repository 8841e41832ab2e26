/** What every layer does with values of which nothing is sure, and with lists. */

/** Whether a value of JSON is an object: neither null nor a list. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value of JSON as an object, or an empty one. */
export function objectOf(value: unknown): Record<string, unknown> {
  return isObject(value) ? value : {};
}

/**
 * What an object holds under a key that is data. Every object inherits `constructor` and its like: `object[key]` finds
 * a function there.
 */
export function byOwnKey<Held extends object>(
  object: Held,
  key: string,
): Held[keyof Held] | undefined {
  return Object.hasOwn(object, key) ? object[key as keyof Held] : undefined;
}

/** Sets what an object holds under a key that is data: `object.__proto__ = value` would set what it inherits from. */
export function setOwnKey<Value>(
  object: Partial<Record<string, Value>>,
  key: string,
  value: Value,
): void {
  if (key !== '__proto__') object[key] = value;
  else
    Object.defineProperty(object, key, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    });
}

/** Lists by key, in the order of the first of each. Node 20 has no `Map.groupBy`. */
export function groupBy<Item, Key>(
  items: Iterable<Item>,
  keyOf: (item: Item) => Key,
): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

/**
 * The number that a text is, to compute with. NaN where it is none, and where a whole number is beyond 2^53, because
 * it would become another one; `exactNumber` keeps its digits.
 */
export function readNumber(text: string | null | undefined): number {
  const number = Number(text ?? NaN);
  if (number === 0 && text?.trim() === '') return NaN;
  return Number.isInteger(number) && !Number.isSafeInteger(number) ? NaN : number;
}

/** The first `limit` code units, without half a surrogate pair at the end: PostgreSQL takes no such half in JSON. */
export function firstOf(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const last = text.charCodeAt(limit - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? limit - 1 : limit);
}

/** Variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A variable that is set to something: the empty text is how shells unset one for a single command. */
export function given(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

/** Whether a text is a UUID with its hyphens, in either case. */
export const isUuid = (text: string): boolean =>
  /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text);

/** What takes long to make, and is made when it is first asked for: a start that does not need it does not wait for it. */
export function late<Value>(make: () => Value): () => Value {
  let made: { value: Value } | undefined;
  return () => (made ??= { value: make() }).value;
}
