import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { dashed, globalFlags, type Command } from '../../src/cli/command.js';
import { commands, databaseCommands } from '../../src/cli/registry.js';
import { carryFlags, commandFlags } from '../../src/db/connection/command-flags.js';
import { panes } from '../../src/panes/registry.js';
import { colonCommands } from '../../src/ui/commands/registry.js';
import { Keymap } from '../../src/ui/keymap.js';
import { scopes } from '../../src/ui/views/registry.js';

const root = join(import.meta.dirname, '../..');

type Text = { file: string; text: string };

/** Every text in the source; what is put into a template is `…`. */
function textsOf(file: string): Text[] {
  const source = ts.createSourceFile(
    file,
    readFileSync(join(root, file), 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  );
  const found: Text[] = [];
  const visit = (node: ts.Node) => {
    if (ts.isImportDeclaration(node)) return;
    if (ts.isStringLiteralLike(node)) found.push({ file, text: node.text });
    if (ts.isTemplateExpression(node)) {
      const parts = node.templateSpans.map(({ literal }) => `…${literal.text}`);
      found.push({ file, text: node.head.text + parts.join('') });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.tsx?$/.test(name) && !name.includes('generated'))
  .map((name) => join('src', name));
const texts = sources.flatMap(textsOf);

/** What stands behind the program's name and is no command: prose, formats, names of jobs, sessions and connections. */
const prose =
  /^(?:needs|that|are|here|maintenance|recording|to the|completes|of|is|and|in|for|draws|takes|first|prod)\b/;

test('every command of the shell that a text names exists, with its flags', async () => {
  const known = new Map<string, Command>();
  for (const { name, load } of commands) known.set(name, await load());
  const wrong: string[] = [];
  let checked = 0;
  for (const { file, text } of texts) {
    for (const [, rest = ''] of text.matchAll(/\btrace-console ([a-z][^|;"\n]*)/g)) {
      if (prose.test(rest)) continue;
      const [first = '', second = ''] = rest.split(/[^a-z-]/);
      const command = known.get(`${first} ${second}`) ?? known.get(first);
      const isGroup = [...known.keys()].some((name) => name.startsWith(`${first} `));
      const flags = [...rest.matchAll(/(?<=\s)--([a-z-]+)/g)].map(([flag]) => flag);
      const own = Object.keys({ ...globalFlags, ...command?.flags, help: {} }).map(dashed);
      const unknown = flags.filter((flag) => !own.includes(flag));
      checked += 1;
      if ((!command && !isGroup) || unknown.length > 0) wrong.push(`${file}: ${rest}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(checked).toBeGreaterThan(150);
});

test('every command of the console that a text or a document names exists', () => {
  const names = new Set([
    ...new Keymap(scopes).bindings.map(({ id }) => id),
    ...colonCommands.map(({ name }) => name),
    ...panes.map(({ id }) => id as string),
  ]);
  const documents = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)]
    .filter((file) => file.endsWith('.md'))
    .map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') }));
  const named = [
    ...texts.flatMap(({ file, text }) =>
      [...text.matchAll(/(?<![\w:"'\])}/[]):([a-z]+(?:-[a-z]+)*)\b/g)].map(([, id = '']) => ({
        file,
        id,
      })),
    ),
    ...documents.flatMap(({ file, text }) =>
      [...text.matchAll(/`:([a-z]+(?:-[a-z]+)*)[ `]/g)].map(([, id = '']) => ({ file, id })),
    ),
  ];
  // A class of characters, and pieces of a name as they may be typed.
  const others = new Set(['space', 'punct', 'doc']);
  expect(named.filter(({ id }) => !names.has(id) && !others.has(id))).toEqual([]);
  expect(named.length).toBeGreaterThan(40);
});

test('no text names the key of a command, which the reader may have changed: it names the command', () => {
  const key =
    /(?:^|[.;:,(] )[A-Za-z?] (?:does|shows|opens|chooses|lists|marks|rebuilds)\b|\b(?:with|press|by) [A-Za-z?](?:[.;,)]| to\b)/;
  const named = texts.filter(
    ({ file, text }) => /^src.(?:panes|maintenance|live|ui)/.test(file) && key.test(text),
  );
  expect(named).toEqual([]);
});

test('a command in a text leads to the database that the text is about, once', () => {
  const address = { host: 'db', port: 5432, user: "o'neil", database: 'a;b', tls: false };
  const capabilities = { embedded: false, schema: 'my schema' } as Parameters<
    typeof commandFlags
  >[0]['capabilities'];
  const flags = commandFlags({ address, capabilities });
  expect(flags).toBe("--url 'postgresql://o'\\''neil@db:5432/a%3Bb' --schema 'my schema'");
  expect(commandFlags({ address, capabilities, namedBy: '--connection prod' })).toBe(
    "--connection prod --schema 'my schema'",
  );
  const carry = (text: string) => carryFlags(text, '--connection prod', databaseCommands);
  const said =
    'Create it: trace-console schema apply; then trace-console runs 12 shows it, "trace-console learn" counts.';
  expect(carry(said)).toBe(
    'Create it: trace-console schema apply --connection prod; then trace-console runs --connection prod 12 shows it, "trace-console learn --connection prod" counts.',
  );
  expect(carry(carry(said))).toBe(carry(said));
  for (const text of ['trace-console keys lists', 'trace-console --help', 'hooks of trace-console'])
    expect(carry(text)).toBe(text);
});
