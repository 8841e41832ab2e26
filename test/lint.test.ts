import { ESLint } from 'eslint';
import path from 'node:path';
import { expect, test } from 'vitest';

const root = path.join(import.meta.dirname, '..');
const eslint = new ESLint({ cwd: root });

/** Lines that end with `// no` are those that the rule refuses, of a text in place of a file. */
async function expectRefused(rule: string, file: string, text: string): Promise<void> {
  const [result] = await eslint.lintText(text, { filePath: path.join(root, file) });
  const found = result?.messages.filter(({ ruleId }) => ruleId === rule) ?? [];
  const lines = text.split('\n');
  expect(found.map(({ line }) => lines[line - 1]?.trim())).toEqual(
    lines.filter((line) => line.endsWith('// no')).map((line) => line.trim()),
  );
}

test('a key that is data is looked up in no object that inherits', async () => {
  await expectRefused(
    'ours/lookup-by-data',
    'src/panes/links.ts',
    `
declare const status: string, json: Record<string, unknown>, environment: NodeJS.ProcessEnv;
declare const row: { status: string; kind: 'hook' | 'trace'; at: number };
const tones = { failed: 'red', running: 'blue' };
type Status = keyof typeof tones;
export const found = [
  json[status], // no
  json[row.status]?.valueOf(), // no
  environment[status], // no
  { low: 1, high: 2 }[status], // no
  tones[status as Status], // no
  status in tones, // no
  Reflect.get(tones, status), // no
];
const { [status]: taken } = json; // no
const named = status as Status;
export const alike = tones[named]; // no
export function set<Name extends string>(name: Name): void {
  json[name] = taken; // no
  json[\`x-\${status}\`] = taken; // no
  json[status] ??= taken; // no
  Object.assign(tones, json); // no
}
export function fine(status: Status, list: string[], bytes: Uint8Array, map: Map<string, string>): unknown {
  for (const name of ['failed', 'running'] as const) map.set(name, tones[name]);
  delete json[row.status];
  const { groups } = /(?<year>\\d+)/.exec(row.status) ?? {};
  return [
    tones[status],
    json.constructor,
    json['a key'],
    row[row.kind === 'hook' ? 'status' : 'at'],
    list[row.at],
    bytes[row.at],
    map.get(row.status),
    groups?.year,
    Object.hasOwn(tones, row.status),
    'failed' in tones,
    { [row.status]: 1 },
    { ...json },
  ];
}
`,
  );
}, 240_000); // reads every type of the project

test('no text becomes a number that JavaScript does not have', async () => {
  await expectRefused(
    'ours/number-of-text',
    'src/panes/links.ts',
    `
declare const text: string, id: string | null, any: unknown, digits: bigint, count: number;
export const found = [
  Number(text), // no
  Number(id), // no
  Number(any), // no
  Number(digits), // no
  +text, // no
  parseInt(text), // no
  Number.parseInt(text, 10), // no
  parseFloat(text), // no
  globalThis.parseFloat(text), // no
  text.split('.').map(Number), // no
];
export const fine = [Number(count === 1), Number(count), -count, +count, parseInt(text, 16), [count].every(Number.isFinite)];
`,
  );
});

test('JSON of others is read to the digit', async () => {
  const text = 'export const read = (text: string): unknown => JSON.parse(text); // no';
  for (const file of ['src/panes/links.ts', 'src/db/database.ts', 'src/maintenance/action.ts']) {
    await expectRefused('no-restricted-properties', file, text);
  }
  await expectRefused('no-restricted-properties', 'src/core/folder-lock.ts', text.slice(0, -6));
});
