import { fc } from '../helpers/seeds.js';
import { describe, expect, it } from 'vitest';
import { KeyTokens, type Token } from '../../src/terminal/key-tokens.js';

function tokensOf(...chunks: string[]): (string | { paste: string })[] {
  const tokens = new KeyTokens();
  const all: Token[] = chunks.flatMap((chunk) => [...tokens.push(chunk)]);
  all.push(...tokens.flush());
  return all.map((token) => (token.type === 'key' ? token.name : { paste: token.text }));
}

describe('KeyTokens', () => {
  it('parts what was typed fast into single keys', () => {
    expect(tokensOf('jjé漢\r\t\x7f\x03 G')).toEqual([
      ...['j', 'j', 'é', '漢', 'enter', 'tab', 'backspace', 'ctrl+c', 'space', 'G'],
    ]);
  });

  const keys: readonly [sequence: string, name: string][] = [
    ['\x1b[A', 'up'],
    ['\x1bOB', 'down'],
    ['\x1b[1;5C', 'right'],
    ['\x1b[5~', 'pageUp'],
    ['\x1b[6;3~', 'pageDown'],
    ['\x1b[3;2~', 'backspace'],
    ['\x1b[Z', 'shift+tab'],
    ['\x1b[H', 'home'],
    ['\x1b[4~', 'end'],
    ['\x1b\x1b[D', 'left'],
    ['\x1bx', 'alt+x'],
    ['\x1bOM', 'enter'],
  ];
  const codedKeys: typeof keys = [
    // Kitty's protocol: CSI code ; modifiers u.
    ['\x1b[27u', 'escape'],
    ['\x1b[27;1:1u', 'escape'],
    ['\x1b[99;5u', 'ctrl+c'],
    ['\x1b[113u', 'q'],
    ['\x1b[103;2u', 'G'],
    ['\x1b[103:71;2u', 'G'],
    ['\x1b[49;2;33u', '!'],
    ['\x1b[97;65u', 'A'],
    ['\x1b[120;3u', 'alt+x'],
    ['\x1b[13u', 'enter'],
    ['\x1b[9;2u', 'shift+tab'],
    ['\x1b[91;5u', 'escape'],
    ['\x1b[32;1u', 'space'],
    ['\x1b[1;1:2A', 'up'],
    ['\x1b[57421u', 'pageUp'],
    // xterm's modifyOtherKeys: CSI 27 ; modifiers ; code ~
    ['\x1b[27;5;99~', 'ctrl+c'],
    ['\x1b[27;2;71~', 'G'],
    ['\x1b[27;1;27~', 'escape'],
    ['\x1b[27;5;114~', 'ctrl+r'],
    ['\x1b[27;3;120~', 'alt+x'],
  ];

  it.each([...keys, ...codedKeys])('knows %j as %s, however it is split', (sequence, name) => {
    expect(tokensOf(`a${sequence}b`)).toEqual(['a', name, 'b']);
    for (let cut = 1; cut < sequence.length; cut++) {
      expect(tokensOf(sequence.slice(0, cut), `${sequence.slice(cut)}z`)).toEqual([name, 'z']);
    }
  });

  it('takes an Escape nothing follows for the key', () => {
    expect(tokensOf('\x1b')).toEqual(['escape']);
    expect(tokensOf('j\x1b\x1b')).toEqual(['j', 'escape', 'escape']);
    expect(tokensOf('\x1b[')).toEqual(['alt+[']);
    expect(tokensOf('\x1b[1;')).toEqual([]);
  });

  it('leaves out reports, replies, keys that are let go and sequences nobody knows', () => {
    const noise = [
      '\x1b[<35;20;4M',
      '\x1b[<0;1;1m',
      '\x1b[M !!',
      '\x1b[32;5;6M',
      '\x1b[I',
      '\x1b[O',
      '\x1b[?62c',
      '\x1b[12;40R',
      '\x1b[?2026;2$y',
      '\x1b]11;rgb:00/00/00\x07',
      '\x1bP1+r\x1b\\',
      '\x1b[1;5P',
      '\x1b[97;1:3u',
      '\x1b[1;1:3A',
      '\x1b[97;9u',
      '\x1b[57441u',
      '\x1b[?1u',
      '\x1b[[A',
      '\x1b[99~',
      '\x1b[201~',
      '\x1c',
      '\x9b',
    ];
    for (const sequence of noise) expect(tokensOf(`a${sequence}b`)).toEqual(['a', 'b']);
  });

  it('gives a paste as one text without control characters', () => {
    expect(tokensOf('a\x1b[200~x\r\ny\x1b[2Jq\x1b[201~b')).toEqual(['a', { paste: 'x\nyq' }, 'b']);
    expect(tokensOf('\x1b[200~one\x1b[2', '01~b')).toEqual([{ paste: 'one' }, 'b']);
    // Its end may be lost on the way.
    expect(tokensOf('\x1b[200~one', 'q', '\x03', 'q')).toEqual([{ paste: 'oneq' }, 'ctrl+c', 'q']);
    expect(tokensOf('y'.repeat(65))).toEqual([{ paste: 'y'.repeat(65) }]);
  });

  it('gives the same whatever reads the input is split into', () => {
    const parts = fc.constantFrom(
      'j',
      '\x1b[A',
      '\x1b[<0;1;1M',
      '\x1b[200~pasted\x1b[201~',
      'é',
      '\r',
      '\x1bx',
      '\x1b]0;t\x07',
    );
    fc.assert(
      fc.property(
        fc.array(parts, { maxLength: 8 }),
        fc.array(fc.nat(60), { maxLength: 5 }),
        (input, cuts) => {
          const text = `${input.join('')}.`;
          const places = [
            0,
            ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b),
            text.length,
          ];
          const chunks = places.slice(1).map((end, index) => text.slice(places[index], end));
          expect(tokensOf(...chunks)).toEqual(tokensOf(text));
        },
      ),
      { numRuns: 500 },
    );
  });
});
