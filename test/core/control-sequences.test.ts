import { describe, expect, it } from 'vitest';
import { safeJson } from '../../src/cli/safe-text.js';
import { withoutControls } from '../../src/core/control-sequences.js';
import { csvOf } from '../../src/panes/export/exportable.js';
import { clipboardCopy } from '../../src/terminal/clipboard.js';

// Pasted into a shell it would end the paste, and run what follows.
const hostile = 'ls\x1b[201~\nrm -rf ~\x9b31m\x1b]52;c;aGk=\x07\x7f\u202efdp.exe\ttab';
const harmless = 'ls\nrm -rf ~fdp.exe\ttab';

describe('what leaves the console', () => {
  it('has no control sequences, but its line breaks and tabs', () => {
    expect(withoutControls(hostile)).toBe(harmless);
    expect(withoutControls('\x1b[20\x1b[201~1~')).not.toContain('\x1b');
  });

  it('has none in the clipboard', () => {
    const { sequence } = clipboardCopy(hostile, { TERM: 'xterm' });
    const [, text = ''] = /^\x1b\]52;c;(.*)\x07$/.exec(sequence) ?? []; // eslint-disable-line no-control-regex
    expect(Buffer.from(text, 'base64').toString('utf8')).toBe(harmless);
  });

  it('has none in CSV, neither as text nor in JSON', () => {
    const csv = csvOf(['text', 'json'], [[hostile, { text: '\x9b201~x\u202e' }]]);
    expect(csv).not.toMatch(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]/); // eslint-disable-line no-control-regex
    expect(csv).toContain('rm -rf ~fdp.exe');
  });

  it('keeps them in JSON, as escapes that no terminal obeys', () => {
    const json = safeJson({ text: hostile });
    expect(json).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202e]/); // eslint-disable-line no-control-regex
    expect(JSON.parse(json)).toEqual({ text: hostile });
  });
});
