import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TerminalInput, type TerminalSource } from '../../src/terminal/input.js';

const ignore = () => undefined;

/** A keyboard on a line that delivers what is typed when the test says so. */
class Line extends EventEmitter implements TerminalSource {
  readonly keys: string[] = [];
  readonly input = new TerminalInput(this);

  constructor() {
    super();
    this.input.on('key', (name) => this.keys.push(name));
    this.input.open();
  }

  type(text: string): void {
    this.emit('data', Buffer.from(text));
  }

  readonly setRawMode = ignore;
  readonly ref = ignore;
  readonly unref = ignore;
  readonly pause = ignore;
}

// The time between two reads is what is tested here.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the keyboard on a slow line', () => {
  it('takes a lone Escape for the key after a moment', () => {
    const line = new Line();
    line.type('\x1b');
    expect(line.keys).toEqual([]);
    vi.advanceTimersByTime(100);
    expect(line.keys).toEqual(['escape']);
  });

  it('waits for the rest of a sequence that has begun', () => {
    const line = new Line();
    line.type('\x1b[');
    vi.advanceTimersByTime(800);
    line.type('1;5');
    vi.advanceTimersByTime(800);
    line.type('A');
    expect(line.keys).toEqual(['up']);
  });

  it('takes no letters from a sequence whose Escape came long before', () => {
    const line = new Line();
    line.type('\x1b');
    vi.advanceTimersByTime(400);
    line.type('[Bj');
    expect(line.keys).toEqual(['escape', 'down', 'j']);
  });

  it('waits longer for the rest of an Escape once the line was seen to be slow', () => {
    const line = new Line();
    line.type('\x1b');
    vi.advanceTimersByTime(200);
    line.type('[B');
    line.type('\x1b');
    vi.advanceTimersByTime(200);
    line.type('[A');
    expect(line.keys).toEqual(['escape', 'down', 'up']);
    line.type('\x1b');
    vi.advanceTimersByTime(500);
    expect(line.keys.at(-1)).toBe('escape');
  });

  it('takes what is typed after an Escape for itself', () => {
    const line = new Line();
    line.type('\x1b');
    vi.advanceTimersByTime(150);
    line.type('j');
    line.type('[');
    line.type('A');
    expect(line.keys).toEqual(['escape', 'j', '[', 'A']);
  });
});
