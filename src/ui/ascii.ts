import { graphemes, graphemeWidth } from '../terminal/graphemes.js';

/** Stand-ins of the signs that the console draws with. */
const standIns: Readonly<Record<string, string>> = {
  '…': '~',
  '–': '-',
  '—': '-',
  '→': '>',
  '←': '<',
  '↑': '^',
  '↓': 'v',
  '±': '~',
  '×': 'x',
  '·': '|',
  '●': '*',
  '○': 'o',
  '⏎': ' ',
  '▁': '_',
  '▂': '.',
  '▃': ':',
  '▄': '-',
  '▅': '=',
  '▆': '+',
  '▇': '*',
  '✗': 'x',
  '▸': '>',
  '▾': 'v',
  '█': '#',
  '░': '.',
  '│': '|',
  '┃': '|',
  '─': '-',
  '━': '=',
  '┤': '|',
  '┼': '+',
  '┫': '|',
  '╋': '+',
  '’': "'",
};

// eslint-disable-next-line no-control-regex
const plain = /^[\x0a\x1b\x20-\x7e]*$/;

/** A text of ASCII only, each sign as wide as the one it stands for. */
export function toAscii(text: string): string {
  if (plain.test(text)) return text;
  let result = '';
  for (const sign of graphemes(text)) {
    if (plain.test(sign)) result += sign;
    else result += standIns[sign] ?? (isBoxCorner(sign) ? '+' : '?'.repeat(graphemeWidth(sign)));
  }
  return result;
}

function isBoxCorner(sign: string): boolean {
  const unit = sign.charCodeAt(0);
  return sign.length === 1 && unit >= 0x2500 && unit <= 0x257f;
}
