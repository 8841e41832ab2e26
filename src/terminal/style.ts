/**
 * The state of a terminal's character attributes, as a canonical parameter list of "CSI … m" that
 * sets it from nothing: '' is plain, '1;38;5;9' bold in colour 9. Two styles are equal when their
 * lists are.
 */
export type Style = string;

const slots = 11;
const foreground = 9;
const background = 10;

// What each simple parameter sets, by slot; slots 1–8 hold the attribute of that number.
const clears: Record<number, readonly number[]> = {
  22: [1, 2],
  23: [3],
  24: [4],
  25: [5],
  27: [7],
  28: [8],
  29: [0],
  39: [foreground],
  49: [background],
};

const cache = new Map<string, Style>();
const maxCache = 2048;

/** The style after "CSI parameters m" is applied to a style. Unknown parameters change nothing. */
export function applySgr(style: Style, parameters: string): Style {
  const key = `${style}m${parameters}`;
  let result = cache.get(key);
  if (result === undefined) {
    result = compute(style, parameters);
    if (cache.size >= maxCache) cache.clear();
    cache.set(key, result);
  }
  return result;
}

function compute(style: Style, parameters: string): Style {
  const state = new Array<string>(slots).fill('');
  apply(state, style);
  apply(state, parameters === '' ? '0' : parameters);
  return state.filter((parameter) => parameter !== '').join(';');
}

function apply(state: string[], list: string): void {
  if (list === '') return;
  const parts = list.split(/[;:]/);
  for (let index = 0; index < parts.length; index++) {
    const code = Number(parts[index]);
    if (code === 38 || code === 48) {
      const length = parts[index + 1] === '5' ? 3 : parts[index + 1] === '2' ? 5 : 0;
      if (length === 0 || index + length > parts.length) return;
      state[code === 38 ? foreground : background] = parts.slice(index, index + length).join(';');
      index += length - 1;
    } else {
      applySimple(state, code);
    }
  }
}

function applySimple(state: string[], code: number): void {
  const text = String(code);
  if (code === 0) state.fill('');
  else if (code >= 1 && code <= 8) state[code] = text;
  else if (code === 9) state[0] = text;
  else if (isBetween(code, 30, 37) || isBetween(code, 90, 97)) state[foreground] = text;
  else if (isBetween(code, 40, 47) || isBetween(code, 100, 107)) state[background] = text;
  else for (const slot of clears[code] ?? []) state[slot] = '';
}

function isBetween(code: number, low: number, high: number): boolean {
  return code >= low && code <= high;
}
