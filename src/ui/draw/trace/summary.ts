import {
  detailNumber,
  detailText,
  eventText,
  kindWords,
  outcomeTones,
} from '../../../panes/trace/event.js';
import { isEarly, nodeTitle, type TraceNode, type TraceTree } from '../../../panes/trace/tree.js';
import { formatDuration } from '../../../shared/format/duration.js';
import { formatCount, formatShare } from '../../../shared/format/number.js';
import { formatTimestamp } from '../../../shared/format/time.js';
import { safeLine } from '../../../terminal/sanitise.js';
import type { Segment } from '../segments.js';

/** What the whole comes to: events, time, failures, tokens, costs. */
export function totalsOf(tree: TraceTree): Segment[] {
  const { event } = tree.asked;
  const { failures, running, inputTokens, outputTokens, costUsd, early } = tree;
  return [
    { text: event.status ?? 'no status', look: outcomeTones[event.outcome] ?? 'success' },
    { text: `${formatCount(tree.nodes.length)} events` },
    { text: formatDuration(tree.totalMs) },
    failures > 0
      ? { text: `${formatCount(failures)} failed`, look: 'error' }
      : { text: 'none failed', look: 'success', priority: 2 },
    ...(running > 0 ? [{ text: `${formatCount(running)} running`, look: 'running' as const }] : []),
    ...(inputTokens + outputTokens > 0
      ? [
          {
            text: `${formatCount(inputTokens)} tokens in, ${formatCount(outputTokens)} out`,
            priority: 3,
          },
        ]
      : []),
    ...(costUsd > 0 ? [{ text: costText(costUsd), priority: 2 }] : []),
    ...(event.archived ? [{ text: 'archived', look: 'warning' as const }] : []),
    ...(tree.isCut
      ? [
          {
            text: `only the first ${formatCount(tree.nodes.length)} events`,
            look: 'warning' as const,
          },
        ]
      : []),
    ...(early > 0
      ? [{ text: `clocks differ in ${early} events`, look: 'warning' as const, priority: 4 }]
      : []),
    { text: startText(tree.asked), look: 'muted', priority: 5 },
  ];
}

/** US dollars, with as many digits as small prices need. */
export function costText(usd: number): string {
  return `$${usd.toFixed(usd < 0.1 ? 4 : 2)}`;
}

function startText({ event: { startedUs } }: TraceNode): string {
  return startedUs === null ? '' : `started ${formatTimestamp(new Date(startedUs / 1000))}`;
}

/** What failed first, and what took the time: the two questions with which a trace is opened; a line each. */
export function causesOf(tree: TraceTree): Segment[][] {
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
  ];
  return lines.filter((line) => line.length > 0);
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
  const text = safeLine(eventText(node.event), { limit: 300 });
  return text === '' ? title(node) : `${title(node)}: ${text}`;
}

/** The chosen event in a line: what it is, when, how long, and what else is known of it. */
export function chosenSegments(node: TraceNode): Segment[] {
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
