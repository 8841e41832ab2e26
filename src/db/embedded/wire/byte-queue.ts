/**
 * Bytes received but not yet consumed, as the pieces they came in: a message of megabytes that
 * arrives in thousands of pieces is joined once, not once a piece.
 */
export class ByteQueue {
  #pieces: Buffer[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.#length += piece.length;
  }

  /** The first `count` bytes without consuming them; undefined when fewer are there. */
  peek(count: number): Buffer | undefined {
    const first = this.#pieces[0];
    if (count > this.#length) return undefined;
    if (first === undefined) return Buffer.alloc(0);
    if (first.length >= count) return first.subarray(0, count);
    const head = Buffer.allocUnsafe(count);
    let copied = 0;
    for (const piece of this.#pieces) {
      copied += piece.copy(head, copied, 0, Math.min(piece.length, count - copied));
      if (copied === count) break;
    }
    return head;
  }

  /** Consumes exactly `count` bytes; undefined when fewer are there. */
  take(count: number): Buffer | undefined {
    if (count > this.#length) return undefined;
    const first = this.#pieces[0];
    if (first === undefined) return Buffer.alloc(0);
    if (first.length < count) this.#pieces = [Buffer.concat(this.#pieces)];
    const whole = this.#pieces[0] ?? first;
    const taken = whole.subarray(0, count);
    if (whole.length === count) this.#pieces.shift();
    else this.#pieces[0] = whole.subarray(count);
    this.#length -= count;
    return taken;
  }

  clear(): void {
    this.#pieces = [];
    this.#length = 0;
  }
}
