import { EventEmitter } from 'node:events';
import { StringDecoder } from 'node:string_decoder';
import { KeyTokens, type Token } from './key-tokens.js';

/** What the keyboard needs of the terminal's input stream; process.stdin has it. */
export type TerminalSource = {
  readonly isTTY?: boolean | undefined;
  setRawMode(isRaw: boolean): unknown;
  ref(): unknown;
  unref(): unknown;
  pause(): unknown;
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: string, listener: () => void): unknown;
  off(event: string, listener: (chunk: Buffer) => void): unknown;
};

export type InputEvents = {
  /** A key by its name, see key-names.ts. */
  key: [name: string];
  /** A pasted text, its lines parted by line feeds, without control characters, at most 64 KiB. */
  paste: [text: string];
  /** The terminal is gone: end of input, or a read error. */
  closed: [];
};

/** How long a lone Escape may be the start of a key's sequence, in milliseconds; longer on a slow line. */
const escapeTimeout = { usual: 100, slow: 500 };
/** How long the rest of a longer sequence is waited for. */
const sequenceTimeout = 1000;
/** How long after a lone Escape its sequence may still come. */
const lateRestTimeout = 1000;
/** A sequence whose parts came so far from each other came over a slow line. */
const slowGap = 30;

/**
 * The keyboard: the only place in which bytes of the terminal become keys. A lone Escape is the key
 * once nothing has followed it for a moment; on a line that was seen to split sequences, a longer one.
 */
export class TerminalInput extends EventEmitter<InputEvents> {
  readonly #source: TerminalSource;
  readonly #kept: ReadonlyMap<string, () => void>;
  readonly #decoder = new StringDecoder('utf8');
  readonly #tokens = new KeyTokens();
  #timer: NodeJS.Timeout | undefined;
  #isSlow = false;
  #lastReceived = 0;
  /** When a lone Escape was taken for the key; undefined: something has come since. */
  #escapedAt: number | undefined;
  #isOpen = false;

  /** @param kept keys that mean the same everywhere, and what they do; they are not emitted */
  constructor(source: TerminalSource, kept: ReadonlyMap<string, () => void> = new Map()) {
    super();
    this.#source = source;
    this.#kept = kept;
  }

  /** Starts reading keys in raw mode, until `close`. */
  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#source.on('data', this.#received);
    this.#source.on('end', this.#ended);
    this.#source.on('close', this.#ended);
    this.#source.on('error', this.#ended);
    this.#source.setRawMode(true);
    this.#source.ref();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#timer);
    this.#source.off('data', this.#received);
    this.#source.off('end', this.#ended);
    this.#source.off('close', this.#ended);
    // The error listener stays: a dying terminal reports again, and unheard errors throw.
    this.#source.pause();
    this.#source.unref();
    try {
      this.#source.setRawMode(false);
    } catch {
      // The terminal is gone; there is no mode to restore.
    }
  }

  /** Hands the keyboard to the shell. */
  suspend(): void {
    if (this.#isOpen) this.#source.setRawMode(false);
  }

  /** Takes it back. Off and on, because Node does not set a mode it believes to be set. */
  resume(): void {
    if (!this.#isOpen) return;
    this.#source.setRawMode(false);
    this.#source.setRawMode(true);
  }

  readonly #received = (chunk: Buffer): void => {
    clearTimeout(this.#timer);
    const now = performance.now();
    const { unfinished } = this.#tokens;
    const isSplit = unfinished !== undefined && now - this.#lastReceived > slowGap;
    let text = this.#decoder.write(chunk);
    const isLate = this.#escapedAt !== undefined && now - this.#escapedAt < lateRestTimeout;
    this.#escapedAt = undefined;
    if (isLate && this.#tokens.isLateRest(text)) {
      text = `\x1b${text}`;
      this.#isSlow = true;
    } else if (isSplit && unfinished === 'sequence') {
      this.#isSlow = true;
    }
    this.#lastReceived = now;
    this.#take(this.#tokens.push(text));
    this.#waitForRest();
  };

  #waitForRest(): void {
    const { unfinished } = this.#tokens;
    if (unfinished === undefined || !this.#isOpen) return;
    const escape = this.#isSlow ? escapeTimeout.slow : escapeTimeout.usual;
    this.#timer = setTimeout(
      () => {
        if (unfinished === 'escape') this.#escapedAt = performance.now();
        this.#take(this.#tokens.flush());
      },
      unfinished === 'escape' ? escape : sequenceTimeout,
    );
  }

  readonly #ended = (): void => {
    if (this.#isOpen) this.emit('closed');
  };

  #press(name: string): void {
    const act = this.#kept.get(name);
    if (act) act();
    else this.emit('key', name);
  }

  #take(tokens: Iterable<Token>): void {
    for (const token of tokens) {
      // A key may have ended the session.
      if (!this.#isOpen) return;
      if (token.type === 'paste') this.emit('paste', token.text);
      else this.#press(token.name);
    }
  }
}
