import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { actions, offers } from '../src/maintenance/registry.js';
import { emptyText, namedCommands } from '../src/panes/contract/pane.js';
import { paneIds, panes } from '../src/panes/registry.js';
import { colonCommands } from '../src/ui/commands/registry.js';
import { scopes } from '../src/ui/views/registry.js';

const source = path.join(import.meta.dirname, '../src');

/** A view, a command, a pane and an action are known by name in their own file, and in these. */
const registries: ReadonlySet<string> = new Set([
  'cli/registry.ts',
  'maintenance/registry.ts',
  'panes/registry.ts',
  'ui/commands/registry.ts',
  'ui/views/registry.ts',
]);

/** What holds an id, by its name or by the name of what has the `id`. */
const holders = {
  pane: /^(?:pane|paneId|focus|home|shows)$/,
  view: /^(?:scope|view|front|asks)$/,
  command: /^(?:command|binding|closes|barWith)$/,
  action: /^action$/,
};

type Kind = keyof typeof holders;

/** What takes such an id as its argument. */
const takers =
  /^(?:findPane|findPaneOfEarlier|paneById|paneKey|goTo|keyOf|keysIn|previewAction|runAction|refusalOf|set(?:Filter|Variant|Grouping|Exact))$/;

/** How a text names a command, or a pane: `:window`. */
const namedInText = /(?<![\w:]):([a-z]+(?:-[a-z]+)*)/g;

type Place = { id: string; line: number };

/**
 * Where a file names one of these ids. An id of several words is nothing else wherever it stands; one that is a word
 * of its own, as `usage`, is meant where it is compared with, put into, handed to or read from what holds ids.
 */
function placesIn(file: ts.SourceFile, ids: ReadonlySet<string>, kind: Kind): Place[] {
  const places: Place[] = [];
  const add = (id: string, node: ts.Node) => {
    const { line } = file.getLineAndCharacterOfPosition(node.getStart());
    places.push({ id, line: line + 1 });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) && ids.has(node.text)) {
      if (/[-A-Z]/.test(node.text) || isMeant(node, holders[kind])) add(node.text, node);
    } else if (ts.isPropertyAccessExpression(node) && ids.has(node.name.text)) {
      const isPane = kind === 'pane' && nameOf(node.expression) === 'panes';
      if (isPane) add(node.name.text, node);
    } else if (ts.isStringLiteralLike(node) || ts.isTemplateLiteralToken(node)) {
      for (const id of kind === 'view' ? [] : namesIn(node.text)) if (ids.has(id)) add(id, node);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return places;
}

const namesIn = (text: string) => Array.from(text.matchAll(namedInText), ([, id = '']) => id);

function isMeant(literal: ts.StringLiteralLike, holder: RegExp): boolean {
  const { parent } = literal;
  if (ts.isBinaryExpression(parent)) {
    return holds(parent.left === literal ? parent.right : parent.left, holder);
  }
  if (ts.isCaseClause(parent)) return holds(parent.parent.parent.expression, holder);
  if (ts.isElementAccessExpression(parent)) return nameOf(parent.expression) === 'panes';
  if (ts.isCallExpression(parent)) return takers.test(nameOf(parent.expression));
  if (!ts.isPropertyAssignment(parent)) return false;
  if (holder.test(nameOf(parent.name))) return true;
  // `{ id: … }` in place of the scope itself.
  const call = parent.parent.parent;
  return (
    nameOf(parent.name) === 'id' &&
    ts.isCallExpression(call) &&
    /^(?:in|keysIn|commandOf)$/.test(nameOf(call.expression))
  );
}

/** `pane`, `context.focus.pane.id`, `pane?.id`. */
function holds(expression: ts.Expression, holder: RegExp): boolean {
  const name = nameOf(expression);
  if (name !== 'id' || !ts.isPropertyAccessExpression(expression)) return holder.test(name);
  return holder.test(nameOf(expression.expression));
}

function nameOf(node: ts.Node): string {
  if (ts.isIdentifier(node)) return node.text;
  if (ts.isPropertyAccessExpression(node)) return node.name.text;
  return ts.isNonNullExpression(node) ? nameOf(node.expression) : '';
}

const parsed = (name: string, text: string): ts.SourceFile =>
  ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true);

const files = fs
  .readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.tsx?$/.test(file) && !registries.has(file))
  .map((file) => parsed(file, fs.readFileSync(path.join(source, file), 'utf8')));

/** The places in files other than the one that declares the id. */
function strangers(
  kind: Kind,
  ids: readonly string[],
  isOwn: (file: string, text: string, id: string) => boolean,
) {
  const known = new Set(ids);
  return files.flatMap((file) =>
    placesIn(file, known, kind)
      .filter(({ id }) => !isOwn(file.fileName, file.text, id))
      .map(({ id, line }) => `${file.fileName}:${line} ${id}`),
  );
}

const declares = (text: string, id: string): boolean => text.includes(`id: '${id}',`);

/** Classes of views that a file asks for although it does not declare them. */
function foreignViews(file: ts.SourceFile): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (
      ts.isBinaryExpression(node) &&
      node.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword &&
      /(?:View|Prompt)$/.test(nameOf(node.right)) &&
      !file.text.includes(`class ${nameOf(node.right)} `)
    ) {
      found.push(`${file.fileName} ${nameOf(node.right)}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

describe('nothing outside of its own file and the registries knows by name', () => {
  it('a pane', () => {
    const isOwn = (file: string, text: string, id: string) =>
      file.startsWith('panes/') && declares(text, id);
    expect(strangers('pane', paneIds, isOwn)).toEqual([]);
  });

  it('a view', () => {
    const ids = scopes.map(({ id }) => id);
    expect(
      strangers('view', ids, (file, text, id) => file.startsWith('ui/') && declares(text, id)),
    ).toEqual([]);
    expect(files.flatMap(foreignViews)).toEqual([]);
  });

  it('a command, but its namesake of the shell', () => {
    const ids = [
      ...scopes.flatMap(({ commands }) => commands.map(({ id }) => id)),
      ...colonCommands.map(({ name }) => name),
    ];
    const isOwn = (file: string, text: string, id: string) =>
      file.startsWith('cli/commands/') || declares(text, id) || text.includes(`name: '${id}',`);
    expect(strangers('command', [...new Set(ids)], isOwn)).toEqual([]);
  });

  it('an action, but its command of the shell', () => {
    const ids = Object.keys(actions);
    const isOwn = (file: string, text: string, id: string) =>
      file.startsWith('cli/commands/') || (file.startsWith('maintenance/') && declares(text, id));
    expect(strangers('action', ids, isOwn)).toEqual([]);
  });
});

describe('what they know of each other instead', () => {
  it('rows: an action takes those of one pane', () => {
    const taken = offers.flatMap(({ rows }) => rows ?? []);
    expect(taken).toEqual(expect.arrayContaining(['index', 'table']));
    for (const rows of taken) {
      expect(panes.filter(({ rowsAre }) => rowsAre === rows)).toHaveLength(1);
    }
  });

  it('commands: those that texts of panes name are there', () => {
    const ids = new Set(scopes.flatMap(({ commands }) => commands.map(({ id }) => id)));
    const named = panes.flatMap((pane) => namesIn(emptyText(pane, true)));
    expect(named).toContain(namedCommands.window);
    for (const id of [...named, ...Object.values(namedCommands)]) expect(ids).toContain(id);
  });
});

const ids = new Set(['usage', 'agent-chains']);

it.each<[Kind, string]>([
  ['pane', `if (pane.id === 'usage') draw();`],
  ['pane', `if ('usage' !== context.model.focus) draw();`],
  ['pane', `switch (focus.pane.id) { case 'usage': draw(); }`],
  ['pane', `context.focus.goTo('usage');`],
  ['pane', `const offer = { pane: 'usage' };`],
  ['pane', `const { rows } = live.panes.usage;`],
  ['pane', `const { rows } = live.panes['usage'];`],
  ['pane', `const title = titles.get('agent-chains');`],
  ['view', `keys.keysIn({ id: 'usage' }, 'cancel');`],
  ['view', `if (context.front.scope.id === 'usage') draw();`],
  ['action', `if (run.action === 'usage') draw();`],
  ['command', `const key = keys.keyOf('usage');`],
  ['command', `const binding = { closes: 'usage' };`],
  ['command', `say('Nothing here; :usage shows more');`],
  ['command', 'say(`${count} rows; :usage shows more`);'],
])('a %s is found: %s', (kind, text) => {
  expect(placesIn(parsed('a.ts', text), ids, kind)).toHaveLength(1);
});

it.each([
  `throw new ConsoleError('usage', 'No.');`,
  `const column = { id: 'usage', title: 'usage' };`,
  `if (code === 'usage') end(2);`,
])('is another word: %s', (text) => {
  expect(placesIn(parsed('a.ts', text), ids, 'pane')).toEqual([]);
});

describe('packages', () => {
  it('that the program depends on are imported by it', () => {
    const files = fs.readdirSync(source, { recursive: true, encoding: 'utf8' });
    const imported = new Set(
      files
        .filter((file) => /\.tsx?$/.test(file) && !file.includes('.generated.'))
        .flatMap((file) => {
          const { importedFiles } = ts.preProcessFile(
            fs.readFileSync(path.join(source, file), 'utf8'),
          );
          return importedFiles.map(({ fileName }) => fileName);
        }),
    );
    const { dependencies } = JSON.parse(
      fs.readFileSync(path.join(source, '../package.json'), 'utf8'),
    ) as { dependencies: Record<string, string> };
    const unused = Object.keys(dependencies).filter(
      (name) => ![...imported].some((module) => module === name || module.startsWith(`${name}/`)),
    );
    expect(unused).toEqual([]);
  });
});
