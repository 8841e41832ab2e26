import { EventEmitter } from 'node:events';
import { StringDecoder } from 'node:string_decoder';
import { KeyTokens, type Token } from './key-tokens.js';

/** What the wrapper needs of the terminal's input stream; process.stdin has it. */
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
  readable: [];
  /** A pasted text, its lines parted by line feeds, without control characters, at most 64 KiB. */
  paste: [text: string];
  /** The terminal is gone: end of input, or a read error. */
  closed: [];
};

/** How long a lone Escape may be the start of a key's sequence, in milliseconds. */
const escapeTimeout = 50;
/** Keys kept for an Ink that does not listen yet. */
const maxKeysAhead = 64;
/** Keys handed to Ink in one turn of the event loop; each may draw a frame. */
const keysPerTurn = 16;

/**
 * The keyboard behind Ink. Ink 6.8 reads whatever has arrived as one key: `jjj` typed fast is one
 * event, and paste brackets, mouse reports and replies of the terminal come as text. This stream
 * hands over one key a read, and nothing that is none.
 *
 * Give Ink `input.stdin`. `intercept` sees each key first and keeps it from Ink by returning true.
 */
export class TerminalInput extends EventEmitter<InputEvents> {
  readonly isTTY: boolean;
  intercept: (sequence: string) => boolean = () => false;

  readonly #source: TerminalSource;
  readonly #decoder = new StringDecoder('utf8');
  readonly #tokens = new KeyTokens();
  #keys: string[] = [];
  #turnLeft = keysPerTurn;
  #isScheduled = false;
  #escapeTimer: NodeJS.Timeout | undefined;
  #isOpen = false;

  constructor(source: TerminalSource) {
    super();
    this.#source = source;
    this.isTTY = source.isTTY === true;
    // Keys typed before Ink listens are its first ones.
    EventEmitter.prototype.on.call(this, 'newListener', (event: unknown) => {
      if (event === 'readable' && this.#keys.length > 0) this.#scheduleTurn();
    });
  }

  /** The wrapper in the type Ink's render() asks for. */
  get stdin(): NodeJS.ReadStream {
    return this as unknown as NodeJS.ReadStream;
  }

  /** Starts reading keys. Raw mode stays on until `close`, whatever Ink asks for in between. */
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
    clearTimeout(this.#escapeTimer);
    this.#keys = [];
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

  /** The next key, or null when there is none now. Called by Ink after 'readable'. */
  readonly read = (): string | null => {
    if (this.#turnLeft <= 0) return null;
    const key = this.#keys.shift();
    if (key === undefined) return null;
    // Ink takes Escape together with the next key unless a turn of the event loop lies between.
    this.#turnLeft = key === '\x1b' ? 0 : this.#turnLeft - 1;
    if (this.#turnLeft <= 0) this.#scheduleTurn();
    return key;
  };

  // Ink's own switches: the session owns raw mode and the stream's life.
  readonly setRawMode = (): this => this;
  readonly setEncoding = (): this => this;
  readonly ref = (): this => this;
  readonly unref = (): this => this;

  readonly #received = (chunk: Buffer): void => {
    clearTimeout(this.#escapeTimer);
    this.#take(this.#tokens.push(this.#decoder.write(chunk)));
    if (!this.#tokens.isUnfinished) return;
    this.#escapeTimer = setTimeout(() => this.#take(this.#tokens.flush()), escapeTimeout);
  };

  readonly #ended = (): void => {
    if (this.#isOpen) this.emit('closed');
  };

  #take(tokens: Iterable<Token>): void {
    for (const token of tokens) {
      if (token.type === 'paste') this.emit('paste', token.text);
      else if (!this.intercept(token.sequence)) this.#keys.push(token.sequence);
    }
    if (this.listenerCount('readable') === 0) this.#keys.splice(maxKeysAhead);
    else if (this.#keys.length > 0 && !this.#isScheduled) this.emit('readable');
  }

  /** Two turns, so that Ink's own look at a lone Escape (one turn later) comes first. */
  #scheduleTurn(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() =>
      setImmediate(() => {
        this.#isScheduled = false;
        this.#turnLeft = keysPerTurn;
        if (this.#keys.length > 0) this.emit('readable');
      }),
    );
  }
}
