import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyTokens, type Token } from '../../src/terminal/key-tokens.js';

function tokensOf(...chunks: string[]): (string | { paste: string })[] {
  const tokens = new KeyTokens();
  const all: Token[] = chunks.flatMap((chunk) => [...tokens.push(chunk)]);
  all.push(...tokens.flush());
  return all.map((token) => (token.type === 'key' ? token.sequence : { paste: token.text }));
}

describe('KeyTokens', () => {
  it('parts what was typed fast into single keys', () => {
    expect(tokensOf('jjé漢\r\t\x7f\x03')).toEqual([
      'j',
      'j',
      'é',
      '漢',
      '\r',
      '\t',
      '\x7f',
      '\x03',
    ]);
  });

  it('keeps known keys whole, however they are split', () => {
    const keys = [
      '\x1b[A',
      '\x1bOB',
      '\x1b[1;5C',
      '\x1b[5~',
      '\x1b[Z',
      '\x1b[[A',
      '\x1b\x1b[D',
      '\x1bx',
      '\x1b[3;2~',
    ];
    for (const key of keys) {
      expect(tokensOf(`a${key}b`)).toEqual(['a', key, 'b']);
      for (let cut = 1; cut < key.length; cut++) {
        expect(tokensOf(key.slice(0, cut), `${key.slice(cut)}z`)).toEqual([key, 'z']);
      }
    }
  });

  it('takes an Escape nothing follows for the key', () => {
    expect(tokensOf('\x1b')).toEqual(['\x1b']);
    expect(tokensOf('j\x1b\x1b')).toEqual(['j', '\x1b', '\x1b']);
    expect(tokensOf('\x1b[')).toEqual(['\x1b[']);
  });

  it('leaves out reports, replies and sequences Ink would take for text', () => {
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
      '\x1b[97;5u',
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
