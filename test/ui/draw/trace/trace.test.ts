import { describe, expect, it } from 'vitest';
import { eventMade, treeMade, treeOf, type Made } from '../../../panes/trace/events.js';
import type { TraceNode, TraceTree } from '../../../../src/panes/trace/tree.js';
import { displayWidth } from '../../../../src/terminal/width.js';
import { barCells, branchOf, traceColumnsLeftOut } from '../../../../src/ui/draw/trace/rows.js';
import { drawTrace, traceRoom } from '../../../../src/ui/draw/trace/trace.js';
import { choose, foldedAll } from '../../../../src/ui/model/trace-state.js';
import { createTheme } from '../../../../src/ui/theme.js';
import { textOf } from '../../helpers.js';
import { traceMade } from '../../trace-made.js';

const bar = (tree: TraceTree, name: string, width = 10) => {
  const node = nodeIn(tree, name);
  const { from, until, cells } = barCells(node, tree.totalMs, width);
  return ' '.repeat(from) + cells + ' '.repeat(width - until);
};

function nodeIn(tree: TraceTree, name: string): TraceNode {
  const node = tree.byKey.get(name);
  if (!node) throw new Error(`there is no event ${name}`);
  return node;
}

describe('the bar of an event', () => {
  it('stands at its time, heavy where the whole waited for it', () => {
    const tree = treeOf(
      ['root', null, 0, 100],
      ['a', 'root', 20, 40],
      ['b', 'root', 30, 20],
      ['c', 'root', 90, 0],
    );
    expect(bar(tree, 'root')).toBe('██━━━━████');
    expect(bar(tree, 'a')).toBe('  ████    ');
    expect(bar(tree, 'b')).toBe('   ━━     ');
    expect(bar(tree, 'c')).toBe('         ━');
  });

  it('has at least one cell and never leaves the axis, also when nothing took time', () => {
    const tree = treeOf(['root', null, 0, 0], ['a', 'root', 0, 0]);
    expect(bar(tree, 'root')).toBe('━         ');
    const long = treeOf(['root', null, 0, 1_000_000], ['a', 'root', 999_999, 1]);
    expect(bar(long, 'a')).toBe('         █');
  });

  it('is dotted while it runs beside others', () => {
    const events = [
      eventMade(['root', null, 0, null], { outcome: 'running' }),
      eventMade(['a', 'root', 0, 100]),
    ];
    expect(bar(treeMade(events, 100), 'root')).toBe('░░░░░░░░░░');
  });
});

describe('the lines of the tree', () => {
  it('lead from each event to what it belongs to', () => {
    const tree = treeOf(
      ['root', null, 0, 9],
      ['a', 'root', 1, 9],
      ['a1', 'a', 2, 9],
      ['b', 'root', 3, 9],
      ['b1', 'b', 4, 9],
    );
    const drawn = tree.nodes.map((node) => branchOf(node, node.event.name === 'b', 20));
    expect(drawn).toEqual(['▾ ', '├▾ ', '│ └─ ', '└▸ ', '  └─ ']);
  });

  it('are cut where the tree is too deep', () => {
    const chain = Array.from({ length: 40 }, (_, n): Made => [
      `e${n}`,
      n === 0 ? null : `e${n - 1}`,
      n,
      1,
    ]);
    const branch = branchOf(nodeIn(treeOf(...chain), 'e39'), false, 12);
    expect(branch).toMatch(/^….*└─ $/);
    expect(displayWidth(branch)).toBeLessThanOrEqual(12);
  });
});

describe('a trace on the screen', () => {
  const failing = treeMade([
    eventMade(['root', null, 0, 12_300], {
      name: 'user_prompt',
      status: 'failed',
      outcome: 'failed',
    }),
    eventMade(['h', 'root', 1_000, 4_100], {
      kind: 'hook',
      name: 'policy-guard',
      status: 'failed',
      outcome: 'failed',
      details: {
        type: 'PreToolUse',
        tool: 'Bash',
        error_type: 'Denied',
        error_message: 'no\x1b[2J',
      },
    }),
    eventMade(['c', 'h', 1_000, 50], {
      kind: 'endpoint_call',
      name: 'search',
      status: '200',
      details: { method: 'POST' },
    }),
  ]);

  it.each([
    [196, 55],
    [116, 30],
    [76, 19],
    [36, 6],
  ])('fills %i×%i exactly, with totals, cause and events', (width, height) => {
    const state = traceMade(failing, 'h');
    const lines = drawTrace(state, { width, height });
    const { visibleRows } = traceRoom(state, height);
    expect(lines).toHaveLength(height);
    expect(new Set(lines.map((line) => displayWidth(textOf(line))))).toEqual(new Set([width]));
    expect(visibleRows).toBeGreaterThan(0);
    const text = lines.map(textOf).join('\n');
    expect(text).toMatch(/^failed · (?:3 events · )?12\.3s · 2 failed/);
    expect(text).toContain('policy-guard');
    expect(text).not.toContain('\x1b');
  });

  it('says how much had no room above its events, and where that stands', () => {
    const named = treeMade([
      eventMade(['root', null, 0, 10], {
        details: {
          ...{ project: 'billing-and-invoices', user_id: 'somebody@example.com' },
          ...{ session: 'c0ffee00-0000-4000-8000-000000000001', model: 'a-model-of-some-size' },
        },
      }),
    ]);
    const above = (width: number) =>
      textOf(drawTrace(traceMade(named), { width, height: 30 })[1]).trim();
    expect(above(160)).toMatch(/^project .* · user .* · session .* · model \S+$/);
    expect(above(90)).toMatch(/^project .* · model .* · \+2 more: Enter on the trace$/);
    expect(above(86)).toMatch(/^project .* · model .* · \+2 more$/);
    expect(above(60)).toMatch(/^project .*· \+2 more$/);
  });

  it('says what failed and which hook took the time', () => {
    const lines = drawTrace(traceMade(failing), { width: 116, height: 30 });
    const text = lines.map(textOf).join('\n');
    expect(text).toContain('failed: PreToolUse policy-guard (Bash): Denied: no');
    expect(text).toContain('slowest hook: PreToolUse policy-guard (Bash) 4.05s, 33%');
  });

  it('tells what a folded event hides', () => {
    const lines = drawTrace(foldedAll(traceMade(failing)), {
      width: 116,
      height: 30,
    });
    expect(lines.map(textOf).join('\n')).toContain('▸ PreToolUse policy-guard (Bash) (1 below)');
  });

  it('is ASCII on a terminal without Unicode', () => {
    const theme = createTheme({ colours: 'none', unicode: false });
    const lines = drawTrace(traceMade(failing), { width: 116, height: 30 });
    const text = lines.map((line) => theme.signsOf(textOf(line), undefined)).join('\n');
    expect(text).toMatch(/^[\x20-\x7e\n]*$/);
    expect(text).toContain('x +v PreToolUse');
  });

  it('draws only what is in view of 10,000 events, wherever the cursor is', () => {
    const many = treeOf(
      ['root', null, 0, 10_000],
      ...Array.from({ length: 9_999 }, (_, n): Made => [`e${n}`, 'root', n, 1]),
    );
    const view = choose(traceMade(many), 'e9998');
    const lines = drawTrace(view, { width: 196, height: 55 });
    const { top, visibleRows } = traceRoom(view, 55);
    expect(top + visibleRows).toBe(10_000);
    expect(lines.map(textOf).join('\n')).toContain('e9998');
  });
});

it('says which columns have no room', () => {
  const saidAt = (width: number) => traceColumnsLeftOut(width).map(({ text }) => text);
  expect(saidAt(196)).toEqual([]);
  expect(saidAt(116)).toEqual(['too narrow for detail']);
  expect(saidAt(76)).toEqual(['too narrow for detail, start, share']);
});
