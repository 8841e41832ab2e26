/** The items of an iteration as far as somebody asked for them; each is made once. */
export class Gathered<Item> implements Iterable<Item> {
  readonly items: Item[] = [];
  readonly #rest: Iterator<Item>;
  #isWhole = false;

  constructor(all: Iterable<Item>) {
    this.#rest = all[Symbol.iterator]();
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Until there are so many, or all. */
  gather(count: number): void {
    while (this.items.length < count && !this.#isWhole) {
      const next = this.#rest.next();
      if (next.done === true) this.#isWhole = true;
      else this.items.push(next.value);
    }
  }

  *[Symbol.iterator](): Generator<Item, void, undefined> {
    for (let at = 0; ; at++) {
      this.gather(at + 1);
      const item = this.items[at];
      if (item === undefined) return;
      yield item;
    }
  }
}
