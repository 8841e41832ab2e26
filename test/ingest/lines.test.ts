import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { readLines, readWhole } from '../../src/ingest/lines.js';

it('reads lines across its buffers, and passes over the mark that some editors begin a file with', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'trace-console-lines-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'session.jsonl');
  // Longer than one reading, than two, and lines that end just where a reading does.
  const lines = [3, 300_000, 700_000, (256 << 10) - 3, 5].map((length) => 'x'.repeat(length));
  writeFileSync(file, `\ufeff${lines.join('\n')}\n{"not":"whole`);
  const read: { text: string | undefined; end: number }[] = [];
  for await (const { bytes, end } of readLines(file, 0)) {
    read.push({ text: bytes?.toString('utf8'), end });
  }
  let end = 3;
  expect(read).toEqual(lines.map((text) => ({ text, end: (end += text.length + 1) })));
  // A file of one line without an end, and one that is one object.
  writeFileSync(file, '\ufeff{"a":\n1}');
  for (const reading of [readWhole(file, 0), readLines(join(folder, 'one.jsonl'), 0)]) {
    writeFileSync(join(folder, 'one.jsonl'), '\ufeff{"a":1}');
    const texts: string[] = [];
    for await (const { bytes } of reading) texts.push(bytes?.toString('utf8') ?? '');
    expect(texts.map((text) => JSON.parse(text) as unknown)).toEqual([{ a: 1 }]);
  }
});
