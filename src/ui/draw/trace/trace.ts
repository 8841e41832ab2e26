import {
  eventText,
  eventTexts,
  detailNumber,
  detailText,
  kindWords,
  outcomeTones,
  infiniteStart,
  subjectText,
} from '../../../panes/trace/event.js';
import {
  type TraceNode,
  isEarly,
  nodeTitle,
  timesOf,
  type TraceTree,
} from '../../../panes/trace/tree.js';
import { safeBlock, safeLine } from '../../../terminal/sanitise.js';
import { wrapWithin } from '../../../terminal/width.js';
import { scrollTop } from '../../model/list-state.js';
import { chosenNode, type TraceState } from '../../model/trace-state.js';
import {
  drawSegmentsOrMore,
  blank,
  cell,
  styled,
  type StyledLine,
  type Segment,
} from '../styled-line.js';
import { traceColumns, drawTraceHeading, drawTraceRow } from './rows.js';
import { formatDuration, formatTimestamp } from '../../../core/format/time.js';
import { countedShort, formatCount, formatShare } from '../../../core/format/number.js';

type Size = { width: number; height: number };

/** How many lines each part of a trace has, and where its rows are scrolled to. */
export type TraceRoom = { causes: number; visibleRows: number; chosenLines: number; top: number };

/** Divides the lines of a box among what stands above the rows, the rows, and the chosen one below. */
export function traceRoom(state: TraceState, height: number): TraceRoom {
  const { rows, index, top, opened } = state;
  const most = height >= 18 ? 5 : height >= 14 ? 3 : height >= 8 ? 1 : 0;
  const causes = Math.min(most, linesAbove(opened.tree, most).length);
  const chosenLines = chosenNode(state) ? footHeight(height) : 0;
  const visibleRows = Math.max(1, height - 2 - causes - chosenLines);
  return { causes, visibleRows, chosenLines, top: scrollTop(top, index, visibleRows, rows.length) };
}

function footHeight(height: number): number {
  if (height < 12) return 0;
  if (height < 24) return 2;
  return height < 40 ? 3 : 5;
}

/**
 * A trace's tree: what it comes to, its events on one time axis, and the chosen one. Only the rows in
 * view are drawn, so that 10,000 events scroll as fast as ten.
 */
export function drawTrace(state: TraceState, { width, height }: Size): StyledLine[] {
  const { rows, index, order, folded, opened } = state;
  const { tree } = opened;
  const { causes, visibleRows, chosenLines, top } = traceRoom(state, height);
  const above = [{ line: totalsOf(tree), way: inTraceRow }, ...linesAbove(tree, causes)];
  const columns = traceColumns(width);
  const chosen = chosenNode(state);
  const drawn = rows.slice(top, top + visibleRows).map((node, row) =>
    drawTraceRow(node, {
      tree,
      columns,
      width,
      asTree: order === 'time',
      isFolded: folded.has(node.event.key) && order === 'time',
      selected: top + row === index,
    }),
  );
  return [
    ...above.map(({ line, way }) => drawSegmentsOrMore(line, width, separator, way)),
    drawTraceHeading(columns, tree.totalMs, width),
    ...drawn,
    ...Array.from({ length: visibleRows - drawn.length }, () => [blank(width)]),
    ...(chosen ? drawChosen(chosen, { width, height: chosenLines }) : []),
  ];
}

const separator = ' · ';

/** Where that stands which had no room in the lines about a trace. */
const inTraceRow = ': Enter on the trace';

/** The lines above the rows: who asked, and the causes. With little room the causes come first. */
function linesAbove(tree: TraceTree, most: number): { line: Segment[]; way?: string }[] {
  const about = aboutOf(tree).map((line) => ({ line, way: inTraceRow }));
  const causes = causesOf(tree).map((line) => ({ line }));
  if (most >= about.length + causes.length) return [...about, ...causes];
  return most > 1 ? [...about.slice(0, 1), ...causes].slice(0, most) : causes.slice(0, most);
}

/** Whose trace it is, and its prompt. What a delegated trace does not say itself, the one above it says. */
function aboutOf({ asked }: TraceTree): Segment[][] {
  const find = (name: string): string | undefined => {
    for (let node: TraceNode | undefined = asked; node; node = node.parent) {
      const text = detailText(node.event, name);
      if (text !== undefined) return text;
    }
    return undefined;
  };
  const named = [
    ['project', 'project', 1],
    ['user', 'user_id', 2],
    ['session', 'session', 3],
    ['model', 'model', 1],
  ] as const;
  const who = named.flatMap(([label, name, priority]): Segment[] => {
    const text = find(name);
    return text === undefined
      ? []
      : [{ text: `${label} ${safeLine(text, { limit: 60 })}`, priority }];
  });
  const prompt = detailText(asked.event, 'prompt');
  return [
    ...(who.length > 0 ? [who] : []),
    ...(prompt === undefined ? [] : [[{ text: `prompt: ${safeLine(prompt, { limit: 300 })}` }]]),
  ];
}

/** The chosen event under a rule: its figures, then its error or what it worked on. */
function drawChosen(node: TraceNode, { width, height }: Size): StyledLine[] {
  if (height === 0) return [];
  const text = safeBlock(eventTexts(node.event).join('\n'), { limit: 4 * width });
  const look = node.event.outcome === 'failed' ? 'error' : undefined;
  const lines = [
    styled('─'.repeat(width), 'border'),
    drawSegmentsOrMore(chosenSegments(node), width, separator, ': Enter'),
    ...(text === '' ? [] : wrapWithin(text, width, height - 2)).map((line) => [
      cell(line, width, look),
    ]),
  ];
  return [...lines, ...Array.from({ length: height - lines.length }, () => [blank(width)])];
}

/** What the whole comes to: events, time, failures, tokens, costs. */
function totalsOf(tree: TraceTree): Segment[] {
  const { event } = tree.asked;
  const { failures, running, outputTokens, costUsd, early } = tree;
  const tokensIn = tree.inputTokens + tree.cacheReadTokens + tree.cacheWriteTokens;
  const otlpId = detailText(event, 'otlp_trace_id');
  return [
    { text: event.status ?? 'no status', look: outcomeTones[event.outcome] ?? 'success' },
    ...wholeSegments(tree.asked),
    { text: countedShort(tree.nodes.length, 'event'), priority: 3 },
    { text: formatDuration(tree.totalMs) },
    failures > 0
      ? { text: `${formatCount(failures)} failed`, look: 'error' }
      : { text: 'none failed', look: 'success', priority: 4 },
    ...(running > 0 ? [{ text: `${formatCount(running)} running`, look: 'running' as const }] : []),
    ...(tokensIn + outputTokens > 0
      ? [
          {
            text: `${formatCount(tokensIn)} tokens in, ${formatCount(outputTokens)} out`,
            priority: 2,
          },
        ]
      : []),
    ...(costUsd > 0 ? [{ text: costText(costUsd), priority: 2 }] : []),
    ...(event.archived ? [{ text: 'archived', look: 'warning' as const }] : []),
    ...(tree.isCut
      ? [
          {
            text: `only the first ${countedShort(tree.nodes.length, 'event')}`,
            look: 'warning' as const,
          },
        ]
      : []),
    ...(early > 0
      ? [
          {
            text: `clocks differ in ${countedShort(early, 'event')}`,
            look: 'warning' as const,
            priority: 4,
          },
        ]
      : []),
    { text: startText(tree.asked), look: 'muted', priority: 5 },
    ...(otlpId === undefined
      ? []
      : [{ text: `OpenTelemetry ${otlpId}`, look: 'muted' as const, priority: 6 }]),
  ];
}

/** For a delegated trace: the status of the root, since the other figures are of the whole tree. */
function wholeSegments(asked: TraceNode): Segment[] {
  let root = asked;
  while (root.parent) root = root.parent;
  const { status, outcome } = root.event;
  if (root === asked || status === null) return [];
  return [{ text: `the whole ${safeLine(status)}`, look: outcomeTones[outcome] ?? 'success' }];
}

/** US dollars, with as many digits as small prices need. */
export function costText(usd: number): string {
  return `$${usd.toFixed(usd < 0.1 ? 4 : 2)}`;
}

function startText({ event }: TraceNode): string {
  const { startedUs } = event;
  const infinite = infiniteStart(event);
  if (infinite !== undefined) return `started ${infinite}`;
  return startedUs === null ? '' : `started ${formatTimestamp(new Date(startedUs / 1000))}`;
}

/** A line each: the first failure, what took longest, and how an agent spent its time. */
function causesOf(tree: TraceTree): Segment[][] {
  const slowest = largest(tree.nodes);
  const hook = largest(tree.nodes.filter(({ event }) => event.kind === 'hook'));
  const failure = tree.nodes.find(
    ({ event, failuresBelow }) => event.outcome === 'failed' && failuresBelow === 0,
  );
  const lines: Segment[][] = [
    failure ? [{ text: `failed: ${titleAndText(failure)}`, look: 'error' }] : [],
    [
      ...(slowest ? [{ text: `slowest: ${waitText(slowest, tree)}` }] : []),
      ...(hook && hook !== slowest
        ? [{ text: `slowest hook: ${waitText(hook, tree)}`, priority: 2 }]
        : []),
    ],
    timeSegments(tree),
  ];
  return lines.filter((line) => line.length > 0);
}

/** `thinking 12.0s (40%) · tools 10.0s (33%) · waiting for the user 8.0s (27%)`, the longest first. */
function timeSegments(tree: TraceTree): Segment[] {
  const times = timesOf(tree);
  if (!times || tree.totalMs <= 0) return [];
  return [
    { name: 'thinking', ms: times.thinking },
    { name: 'tools', ms: times.tools },
    { name: 'hooks', ms: times.hooks },
    { name: 'waiting for the user', ms: times.user },
    { name: 'waiting for subagents', ms: times.subagents },
    { name: 'other calls', ms: times.others },
    { name: 'nothing known', ms: times.unknown },
  ]
    .filter(({ ms }) => ms > 0)
    .toSorted((a, b) => b.ms - a.ms)
    .map(({ name, ms }, index) => ({
      text: `${name} ${formatDuration(ms)} (${formatShare(ms / tree.totalMs)})`,
      priority: index + 1,
    }));
}

function largest(nodes: readonly TraceNode[]): TraceNode | undefined {
  let found: TraceNode | undefined;
  for (const node of nodes) if (node.ownMs > (found?.ownMs ?? 0)) found = node;
  return found;
}

function waitText(node: TraceNode, { totalMs }: TraceTree): string {
  const itself = node.event.kind === 'trace' ? ' itself' : '';
  const { ownMs } = node;
  return `${title(node)}${itself} ${formatDuration(ownMs)}, ${formatShare(ownMs / totalMs)}`;
}

function title(node: TraceNode): string {
  return safeLine(nodeTitle(node), { limit: 100 });
}

function titleAndText(node: TraceNode): string {
  const subject = node.event.kind === 'trace' ? '' : subjectText(node.event);
  const what = subject === '' ? '' : ` ${safeLine(subject, { limit: 100 })}`;
  const text = safeLine(eventText(node.event), { limit: 300 });
  return text === '' || text === what.trim()
    ? `${title(node)}${what}`
    : `${title(node)}${what}: ${text}`;
}

/** The chosen event in a line: what it is, when, how long, and what else is known of it. */
function chosenSegments(node: TraceNode): Segment[] {
  const { event, startMs, endMs, ownMs } = node;
  const exitCode = detailNumber(event, 'exit_code');
  const retries = detailNumber(event, 'retry_count') ?? 0;
  const model = detailText(event, 'model');
  const cost = detailNumber(event, 'cost_usd') ?? 0;
  const took = event.durationMs ?? (event.outcome === 'running' ? endMs - startMs : null);
  return [
    { text: kindWords[event.kind], look: 'muted', priority: 2 },
    { text: title(node), look: 'title' },
    ...(event.status === null || event.kind === 'endpoint_call'
      ? []
      : [{ text: safeLine(event.status), look: outcomeTones[event.outcome] }]),
    { text: `at +${formatDuration(startMs)}`, priority: 2 },
    ...(took === null ? [] : [{ text: `took ${formatDuration(took)}` }]),
    ...(ownMs > 0 ? [{ text: `the whole waited ${formatDuration(ownMs)} for it` }] : []),
    ...(exitCode === undefined ? [] : [{ text: `exit code ${exitCode}`, priority: 2 }]),
    ...(retries > 0 ? [{ text: `${retries} retries`, look: 'warning' as const }] : []),
    ...(model === undefined ? [] : [{ text: safeLine(model), priority: 4 }]),
    ...(cost > 0 ? [{ text: costText(cost), priority: 4 }] : []),
    ...(isEarly(node)
      ? [{ text: 'starts before what it belongs to: clocks differ', look: 'warning' as const }]
      : []),
  ];
}
