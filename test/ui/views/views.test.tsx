import { Box } from 'ink';
import { render } from 'ink-testing-library';
import { describe, expect, it } from 'vitest';
import { memoryList, type MemoryList } from '../../../src/panes/contract/listing.js';
import type { Opening } from '../../../src/panes/contract/opening.js';
import type { ConsoleApp } from '../../../src/ui/app/console-app.js';
import { pressKey } from '../../../src/ui/app/input.js';
import type { View } from '../../../src/ui/context.js';
import { ExportView } from '../../../src/ui/views/export.js';
import { HelpView } from '../../../src/ui/views/help.js';
import { overview } from '../../../src/ui/views/overview.js';
import { ListView } from '../../../src/ui/views/list.js';
import { FilterPrompt } from '../../../src/ui/views/prompt.js';
import { listState } from '../../../src/ui/model/list-state.js';
import { NoticeView } from '../../../src/ui/views/action.js';
import { QuitView } from '../../../src/ui/views/quit.js';
import { SchemaView } from '../../../src/ui/views/schema.js';
import { consoleWith } from '../console-made.js';
import { fruitColumns, fruits, type Fruit } from '../helpers.js';

/** What Ink makes of a view that is focused; its test renderer is 100 columns wide. */
function drawn(view: View): string {
  const app = consoleWith(view);
  const screen = (
    <Box width={100} height={35}>
      {view.draw?.(app)}
    </Box>
  );
  const { lastFrame, unmount } = render(screen);
  const frame = lastFrame() ?? '';
  unmount();
  return frame;
}

/** The focused view, which is one of this class. */
function frontOf<Focused extends View>(
  { front }: ConsoleApp,
  type: new (...args: never[]) => Focused,
): Focused {
  if (!(front instanceof type)) throw new Error(`another view than ${type.name} is focused`);
  return front;
}

function listOf(count: number): ListView {
  const rows = fruits(...Array.from({ length: count }, (_, n) => `fruit ${n}`));
  const list: MemoryList<Fruit> = {
    title: 'Fruit\x1b[2J of the day',
    columns: fruitColumns,
    rows,
    rowKey: ({ name }) => name,
    summary: [{ text: `${count} in all` }],
    empty: 'No fruit. :window chooses a longer one.',
    asOf: new Date(0),
    open: ({ name }) => ({ title: name, read: () => Promise.reject(new Error('not read')) }),
  };
  const opening: Opening = {
    title: 'Fruit',
    read: ({ list: request }) => Promise.resolve(memoryList(list, request)),
  };
  return new ListView({ id: 1, opening }, listState(memoryList(list)));
}

describe('a view on the screen', () => {
  it('asks about a file with the keys of its answers', () => {
    const frame = drawn(new ExportView({ name: 'fruit', title: '3 rows of Fruit', formats: {} }));
    expect(frame).toContain('Write to a file');
    expect(frame).toContain('3 rows of Fruit');
    expect(frame).toMatch(/c: CSV.*\n.*j: JSON/);
    expect(frame).not.toContain('OTLP');
  });

  it('asks before quitting what becomes of the action', () => {
    const frame = drawn(new QuitView());
    expect(frame).toContain('w: wait for its end, then quit');
    expect(frame).toContain('Cannot detach now: this step needs the console.');
    expect(drawn(new QuitView(undefined, 'wait'))).toContain('ends when the action has ended');
  });

  it('names keys in a notice as they are', () => {
    expect(drawn(new NoticeView('Note', ['a rebuild; :reindex follows it']))).toContain(
      'a rebuild; r follows it',
    );
  });

  it('shows a question of the schema with its answers', () => {
    const stage = { phase: 'ask', title: 'Create it?', lines: ['13 files'], steps: [], total: 0 };
    const frame = drawn(new SchemaView({ ...stage, phase: 'ask' }, () => undefined));
    expect(frame).toContain('13 files');
    expect(frame).toContain('y: create this');
  });

  it('says of an empty list how to fill it', () => {
    expect(drawn(listOf(0))).toContain('No fruit. w chooses a longer one.');
  });

  it('lets no control sequence through', () => {
    expect(drawn(listOf(3))).toContain('Fruit of the day');
  });
});

describe('a list', () => {
  it('scrolls with its cursor, and stays where it is when it is drawn again', () => {
    const app = consoleWith(listOf(100));
    pressKey(app, 'G');
    expect(app.front).toMatchObject({ state: { index: 99 } });
    const { front } = app;
    expect(drawn(front)).toContain('fruit 99');
    expect(drawn(front)).toMatch(/–100 of 100/);
    expect(app.front).toBe(front);
    pressKey(app, 'pageUp');
    const { state } = frontOf(app, ListView);
    expect(state.index).toBeLessThan(99);
    pressKey(app, 'down');
    expect(frontOf(app, ListView).state.top).toBe(state.top);
  });

  it('opens the row under the cursor, and closes', () => {
    const app = consoleWith(listOf(3));
    pressKey(app, 'j');
    expect(app.front.target?.(app)?.title).toBe('fruit 1');
    pressKey(app, 'escape');
    expect(app.model.views).toHaveLength(1);
  });

  it('marks rows, copies their ids, and Escape clears the marks before it leaves', () => {
    const app = consoleWith(listOf(3));
    for (const key of ['m', 'm']) pressKey(app, key);
    const { state, chosenRows } = frontOf(app, ListView);
    expect(state).toMatchObject({ index: 2, marks: new Set(['fruit 0', 'fruit 1']) });
    expect(chosenRows).toHaveLength(2);
    pressKey(app, 'escape');
    expect(frontOf(app, ListView).state.marks.size).toBe(0);
    expect(drawn(app.front)).not.toContain('marked');
  });

  it('says what it asks for, and what cannot be asked', () => {
    const app = consoleWith(listOf(3));
    pressKey(app, 'f');
    expect(app.model.message?.text).toBe('None of these rows can fail');
    for (const key of ['/', 'x', '=']) pressKey(app, key);
    pressKey(app, 'enter');
    expect(app.model.message?.text).toContain('Not yet: no column x');
  });

  it('hides no row for a term that is not complete, or is of no column', () => {
    const app = consoleWith(listOf(3));
    const asked: string[] = [];
    const type = (text: string) => {
      for (const key of text) pressKey(app, key);
      for (const view of app.model.views)
        if (view instanceof ListView) asked.push(view.state.wanted.filter);
    };
    for (const text of ['/', 'fruit', ':', '1', ' ', 'bogus', ':x']) type(text);
    expect(asked).toEqual(['', 'fruit', '', 'fruit:1', 'fruit:1', 'fruit:1 bogus', 'fruit:1']);
  });

  it('completes fields, and behind one what its rows have there', () => {
    const app = consoleWith(listOf(3));
    for (const key of ['/', 'f', 'tab']) pressKey(app, key);
    expect(frontOf(app, FilterPrompt).text).toBe('fruit:');
    pressKey(app, 'tab');
    for (const key of ['2', 'tab']) pressKey(app, key);
    expect(frontOf(app, FilterPrompt).text).toBe('fruit:"fruit 2"');
  });

  it('has no window of time where all of its rows are in memory', () => {
    const app = consoleWith(listOf(3));
    for (const key of ['w', 'W', '[', ']', '{', '}']) {
      pressKey(app, key);
      expect(app.model.message?.text, key).toBe('These rows have no window');
    }
  });
});

describe('the help', () => {
  it('scrolls to its end and no further, without having been drawn', () => {
    const app = consoleWith(new HelpView(overview.scope));
    pressKey(app, 'G');
    const { top } = frontOf(app, HelpView);
    pressKey(app, 'down');
    expect(frontOf(app, HelpView).top).toBe(top);
    expect(drawn(app.front)).toContain('Doctor');
  });
});
