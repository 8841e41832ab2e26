import type { Preview, Progress } from '../../maintenance/action.js';
import { formatDuration } from '../../core/format/time.js';
import { formatRate, withSeparators } from '../../core/format/number.js';
import { safeLine } from '../../terminal/sanitise.js';
import { wrapText } from '../../terminal/width.js';
import type { Keymap } from '../keymap.js';
import { strings } from '../strings.js';
import { cutLines, writer, drawProgressBar } from './box.js';
import { drawSegments, type Segment, blank, cell, type StyledLine } from './styled-line.js';
import type { Failure } from '../../db/errors.js';
import type { Tone } from '../../panes/contract/column.js';

/** A maintenance action from its preview to its result. */
export type ActionState = {
  title: string;
  phase: 'preview' | 'confirm' | 'running' | 'cancelling' | 'done';
  preview: Preview | undefined;
  /** What was typed so far of the confirmation word. */
  typed: string;
  progress: Progress | undefined;
  startedAtMs: number;
  result: (Failure & { tone: Tone }) | undefined;
};

/** `confirmKey`: the key that says yes; absent where nothing is asked. */
type Room = { width: number; height: number; confirmKey?: string };

/** The preview, the progress or the result of an action, at the width of a dialog. */
export function actionLines(
  keys: Keymap,
  state: ActionState,
  nowMs: number,
  room: Room,
): StyledLine[] {
  const write = writer(room.width);
  switch (state.phase) {
    case 'preview':
      return write('looking at what would be done …', 'muted');
    case 'confirm':
      return previewLines(keys, state, room);
    case 'running':
    case 'cancelling':
      return progressLines(state, nowMs, room.width);
    case 'done': {
      const { result } = state;
      if (!result) return [];
      return [
        ...write(keys.inText(result.message), result.tone),
        ...(result.hint === undefined ? [] : write(keys.inText(result.hint), 'muted')),
        ...write(''),
        ...write(strings.back),
      ];
    }
  }
}

function previewLines(
  keys: Keymap,
  { preview, typed }: ActionState,
  { width, height, confirmKey = '' }: Room,
): StyledLine[] {
  if (!preview) return [];
  const write = writer(width);
  if (preview.nothing) return [...write(preview.nothing), ...write(''), ...write(strings.back)];
  const label = Math.min(20, Math.max(...preview.facts.map((fact) => fact.label.length), 0) + 2);
  const facts = preview.facts.flatMap((fact) =>
    wrapText(safeLine(fact.value), width - label).map((line, index) => [
      cell(index === 0 ? fact.label : '', label, 'muted'),
      cell(line, width - label),
    ]),
  );
  const warnings = preview.warnings.flatMap((text) =>
    write(`! ${safeLine(keys.inText(text))}`, 'warning'),
  );
  const sql = preview.sql.flatMap((text) => write(safeLine(text), 'accent'));
  const question = questionLines(preview, typed, confirmKey, width);
  const blank = write('');
  const list = (preview.list ?? []).map((line) => drawSegments([{ text: safeLine(line) }], width));
  const parts = [facts, warnings, sql, list].filter((part) => part.length > 0);
  const body = parts.flatMap((part) => [...part, ...blank]);
  // The question is always in view; a small screen cuts what stands above it.
  return [...cutLines(body, height - question.length, width), ...question];
}

function questionLines(
  preview: Preview,
  typed: string,
  confirmKey: string,
  width: number,
): StyledLine[] {
  if (preview.typed !== undefined) {
    const segments: Segment[] = [
      { text: `Type "${preview.typed}" and Enter to do it:` },
      { text: `${safeLine(typed)}_`, look: 'accent' },
      { text: 'Esc: cancel', look: 'muted', priority: 2 },
    ];
    return [drawSegments(segments, width)];
  }
  const segments: Segment[] = [
    { text: '[ Cancel ]', look: 'selected' },
    { text: 'Enter, Esc', look: 'muted' },
    { text: `   ${confirmKey}`, look: 'key' },
    { text: 'do it' },
  ];
  return [drawSegments(segments, width)];
}

function progressLines(state: ActionState, nowMs: number, width: number): StyledLine[] {
  const { progress, startedAtMs, phase } = state;
  const write = writer(width);
  const elapsed = `for ${formatDuration(Math.max(0, nowMs - startedAtMs))}`;
  if (!progress) return [...write(`starting, ${elapsed}`, 'muted')];
  const { done, total, blockedBy } = progress;
  const known = done !== undefined && total !== undefined && total > 0;
  const title = phase === 'cancelling' ? `cancelling: ${progress.phase}` : progress.phase;
  return [
    drawSegments(
      [
        { text: safeLine(title), look: phase === 'cancelling' ? 'warning' : undefined },
        { text: elapsed, look: 'muted' },
      ],
      width,
      ', ',
    ),
    known ? drawProgressBar(done / total, width) : [blank(width)],
    drawSegments(progressSegments(progress), width, '  '),
    ...(blockedBy === undefined ? [] : write(`waits for ${safeLine(blockedBy)}`, 'warning')),
    ...write(''),
  ];
}

function progressSegments({ done, total, unit = '', rate, secondsLeft }: Progress): Segment[] {
  if (done === undefined) return [{ text: '' }];
  const all = total === undefined ? '' : ` of ${withSeparators(Math.round(total))}`;
  const share = total ? `${Math.floor((100 * done) / total)}%` : '';
  return [
    { text: share, look: 'title' },
    { text: `${withSeparators(Math.round(done))}${all} ${unit}`.trimEnd() },
    { text: rate === undefined ? '' : formatRate(rate, unit), look: 'muted', priority: 3 },
    {
      text: secondsLeft === undefined ? '' : `${formatDuration(1000 * secondsLeft)} left`,
      look: 'muted',
      priority: 2,
    },
  ];
}
