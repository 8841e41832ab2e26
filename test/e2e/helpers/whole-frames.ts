const begin = '\x1b[?2026h';
const end = '\x1b[?2026l';
/** A chunk may end in the middle of `begin`. */
// eslint-disable-next-line no-control-regex
const partOfBegin = /\x1b(?:\[(?:\?(?:2(?:0(?:2(?:6)?)?)?)?)?)?$/;

/**
 * Holds back a frame until it is whole, as terminals do that know synchronized updates (DEC 2026).
 * What a test looks at is then never half of one frame and half of the next.
 */
export class WholeFrames {
  #held = '';

  /** What may be shown of everything that has come by now. */
  push(data: string): string {
    const all = this.#held + data;
    const opened = all.lastIndexOf(begin);
    const cut = opened >= 0 && !all.includes(end, opened) ? opened : all.search(partOfBegin);
    this.#held = cut < 0 ? '' : all.slice(cut);
    return cut < 0 ? all : all.slice(0, cut);
  }

  /** The rest, when nothing comes any more. */
  flush(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }
}
