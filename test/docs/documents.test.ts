import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { commands } from '../../src/cli/registry.js';
import { checks } from '../../src/maintenance/doctor/checks.js';
import { offers } from '../../src/maintenance/registry.js';
import { panes } from '../../src/panes/registry.js';

const root = join(import.meta.dirname, '../..');

const documents = ['', 'sources']
  .flatMap((folder) =>
    readdirSync(join(root, 'docs', folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => join('docs', folder, name)),
  )
  .concat('README.md');

const read = (name: string) => readFileSync(join(root, name), 'utf8');

/** The anchor that GitHub gives to a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}

function anchorsIn(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading));
}

test.each(documents)('%s: every link leads to a file, and to a heading in it', (name) => {
  const text = read(name);
  const broken = [...text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)].flatMap(
    ([, path = '', anchor]) => {
      const target = path === '' ? name : relative(root, join(root, dirname(name), path));
      if (!existsSync(join(root, target))) return [`${target} is missing`];
      const known = anchor === undefined || anchorsIn(read(target)).includes(anchor);
      return known ? [] : [`${target} has no heading for #${anchor}`];
    },
  );
  expect(broken).toEqual([]);
});

test.each(documents)('%s: every command it tells to type exists', (name) => {
  const typed = [...read(name).matchAll(/\btrace-console ([a-z][a-z-]*(?: [a-z][a-z-]*)?)/g)].map(
    // A connection of the config file may stand before the command; the documents call theirs prod.
    ([, words = '']) => words.replace(/^prod ?/, ''),
  );
  const known = ['', ...commands.map((command) => command.name)];
  const unknown = typed.filter(
    (words) => !known.includes(words) && !known.includes(words.split(' ')[0] ?? ''),
  );
  expect(unknown).toEqual([]);
});

test.each(['docs/architecture.md', 'CONTRIBUTING.md'])(
  '%s: every file that it names is there',
  (name) => {
    const files = ['src', 'test'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(
        (file) => `/${folder}/${file}`,
      ),
    );
    const named = [
      ...read(name).matchAll(/`((?:src|test|docs)\/[\w./-]+|[\w./-]+\.(?:tsx?|cjs))`/g),
    ].map(([, file = '']) => file.replace(/\/$/, ''));
    const isThere = (file: string) =>
      existsSync(join(root, file)) || files.some((each) => each.endsWith(`/${file}`));
    // A name to be filled in.
    const missing = named.filter((file) => !file.includes('NAME') && !isThere(file));
    expect(missing).toEqual([]);
  },
);

test('docs/commands.md: its table lists every command, with the summary of --help', () => {
  const rows = [
    ...read('docs/commands.md').matchAll(/^\| `trace-console ([^`]+)`\s+\| (.+?)\s+\|$/gm),
  ];
  const listed = new Map(rows.map(([, name = '', summary = '']) => [name, summary]));
  const expected = new Map(commands.map(({ name, summary }) => [name, summary]));
  expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(expected));
});

test('docs/keys.md: its table has the key of every maintenance action', () => {
  const cells = [...read('docs/keys.md').matchAll(/^\| (`.+?)\s+\|/gm)].map(
    ([, cell = '']) => cell,
  );
  const keys = cells.flatMap((cell) => cell.match(/(?<=`)[^`\s](?=`)/g) ?? []);
  const missing = offers.map(({ command }) => command.key).filter((key) => !keys.includes(key));
  expect(missing).toEqual([]);
});

test('docs/finding.md: its table of panes lists every pane with its question', () => {
  const [, section = ''] = read('docs/finding.md').split('\n## Panes\n');
  const rows = [...section.matchAll(/^\| (\S.*?)\s+\| (\S.*?)\s+\|$/gm)].map(([, ...row]) => row);
  const expected = panes.map(({ title, question }) => [title, question]);
  expect(
    rows.slice(0, expected.length + 2).filter(([title]) => !/^(pane|-+)$/.test(title ?? '')),
  ).toEqual(expected);
});

test('docs/doctor.md: it tells of every check, and of no other', () => {
  const told = [...read('docs/doctor.md').matchAll(/^\*\*`([a-z-]+)`\*\*/gm)].map(([, id]) => id);
  expect(told.toSorted()).toEqual(checks.map(({ id }) => id).toSorted());
});

test.each(['README.md', 'docs/connecting.md'])(
  '%s: the line that makes a .env makes one that nobody else may read',
  (file) => {
    const folder = mkdtempSync(join(tmpdir(), 'trace-console-env-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    copyFileSync(join(root, '.env.example'), join(folder, '.env.example'));
    const [line = ''] = /^.*> \.env\)|^.*\.env\.example \.env\)/m.exec(read(file)) ?? [];
    execFileSync('sh', ['-c', `umask 022; ${line}`], { cwd: folder });
    expect(statSync(join(folder, '.env')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(folder, '.env'), 'utf8')).toContain('TRACEABILITY_DB_PASSWORD=');
  },
);

test('docs/faults.md: every file that it names is there, and every test by its name', () => {
  const page = read('docs/faults.md');
  const files = [...page.matchAll(/`([a-z0-9/-]+\.test\.ts)`/g)].map(([, file = '']) => file);
  expect(files.filter((file) => !existsSync(join(root, 'test', file)))).toEqual([]);
  const [, table = ''] = page.split('\n## What once broke\n');
  const named = [...table.matchAll(/ \| `([a-z0-9/-]+\.test\.ts)` +\| (.+?) +\|$/gm)];
  const missing = named.filter(
    ([, file = '', name = '']) =>
      !read(join('test', file)).replaceAll("\\'", "'").includes(name.replaceAll('\\_', '_')),
  );
  expect(missing.map(([line]) => line)).toEqual([]);
  expect(named.length).toBeGreaterThan(120);
});
