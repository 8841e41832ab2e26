import type { Preview, Progress } from '../../maintenance/action.js';
import { formatDuration } from '../../shared/format/duration.js';
import { formatRate, withSeparators } from '../../shared/format/number.js';
import { safeBlock, safeLine } from '../../terminal/sanitise.js';
import { displayWidth, fit } from '../../terminal/width.js';
import { wrapText } from '../../terminal/wrap.js';
import type { Keys } from '../keys/keys.js';
import type { ActionView } from '../model/views.js';
import type { Look, Theme } from '../theme.js';
import { drawBox, innerWidth } from './box.js';
import { drawProgressBar } from './progress-bar.js';
import { drawSegments, type Segment } from './segments.js';

export type DrawnDialog = { lines: string[]; width: number; height: number };

type Room = { width: number; height: number };

const widest = 96;

/** Lines in a box in front of the panes, as large as they need and the screen allows. */
export function drawDialog(
  theme: Theme,
  title: string,
  body: readonly string[],
  room: Room,
  look: Look = 'frame',
): DrawnDialog {
  const width = dialogWidth(room);
  const height = Math.min(body.length + 2, room.height);
  const lines = drawBox(theme, cutLines(theme, body, height - 2, innerWidth(width)), {
    width,
    height,
    focused: true,
    look,
    title: [{ text: safeLine(title), look: 'title' }],
  });
  return { lines, width, height };
}

/** As many lines as there is room for; the last one says how many are not shown. */
export function cutLines(
  theme: Theme,
  lines: readonly string[],
  height: number,
  width: number,
): readonly string[] {
  if (lines.length <= height) return lines;
  const kept = lines.slice(0, Math.max(0, height - 1));
  const text = `… ${lines.length - kept.length} lines more: a larger window shows them`;
  return [...kept, drawSegments(theme, [{ text, look: 'accent' }], width)].slice(
    0,
    Math.max(0, height),
  );
}

export function dialogWidth({ width }: Room): number {
  return Math.min(widest, width - (width > 60 ? 4 : 0));
}

/** The preview, the progress or the result of an action. */
export function actionLines(
  theme: Theme,
  keys: Keys,
  view: ActionView,
  nowMs: number,
  room: Room,
): string[] {
  const width = innerWidth(dialogWidth(room));
  const write = writer(theme, width);
  const height = room.height - 2;
  switch (view.phase) {
    case 'preview':
      return write('looking at what would be done …', 'muted');
    case 'confirm':
      return previewLines(theme, keys, view, { width, height });
    case 'running':
    case 'cancelling':
      return progressLines(theme, keys, view, nowMs, width);
    case 'done': {
      const { result } = view;
      if (!result) return [];
      return [
        ...write(keys.inText(result.text), result.tone),
        ...(result.hint === undefined ? [] : write(keys.inText(result.hint), 'muted')),
        ...write(''),
        ...write('Enter: back'),
      ];
    }
  }
}

function previewLines(
  theme: Theme,
  keys: Keys,
  { preview, typed }: ActionView,
  { width, height }: Room,
): string[] {
  if (!preview) return [];
  const write = writer(theme, width);
  if (preview.nothing) return [...write(preview.nothing), ...write(''), ...write('Enter: back')];
  const label = Math.min(20, Math.max(...preview.facts.map((fact) => fact.label.length), 0) + 2);
  const facts = preview.facts.flatMap((fact) =>
    wrapText(safeLine(fact.value), width - label).map(
      (line, index) =>
        theme.paint('muted', fit(index === 0 ? fact.label : '', label)) + fit(line, width - label),
    ),
  );
  const warnings = preview.warnings.flatMap((text) =>
    write(`! ${safeLine(keys.inText(text))}`, 'warning'),
  );
  const sql = preview.sql.flatMap((text) => write(safeLine(text), 'accent'));
  const question = questionLines(theme, keys, preview, typed, width);
  const blank = write('');
  const list = (preview.list ?? []).map((line) =>
    drawSegments(theme, [{ text: safeLine(line) }], width),
  );
  const parts = [facts, warnings, sql, list].filter((part) => part.length > 0);
  const body = parts.flatMap((part) => [...part, ...blank]);
  // The question is always in view; a small screen cuts what stands above it.
  return [...cutLines(theme, body, height - question.length, width), ...question];
}

function questionLines(
  theme: Theme,
  keys: Keys,
  preview: Preview,
  typed: string,
  width: number,
): string[] {
  if (preview.typed !== undefined) {
    const segments: Segment[] = [
      { text: `Type "${preview.typed}" and Enter to do it:` },
      { text: `${safeLine(typed)}_`, look: 'accent' },
      { text: 'Esc: cancel', look: 'muted', priority: 2 },
    ];
    return [drawSegments(theme, segments, width)];
  }
  const segments: Segment[] = [
    { text: '[ Cancel ]', look: 'selected' },
    { text: 'Enter, Esc', look: 'muted' },
    { text: `   ${keys.keyOf('confirm')}`, look: 'key' },
    { text: 'do it' },
  ];
  return [drawSegments(theme, segments, width)];
}

function progressLines(
  theme: Theme,
  keys: Keys,
  view: ActionView,
  nowMs: number,
  width: number,
): string[] {
  const { progress, startedAtMs, phase } = view;
  const write = writer(theme, width);
  const elapsed = `for ${formatDuration(Math.max(0, nowMs - startedAtMs))}`;
  if (!progress) return [...write(`starting, ${elapsed}`, 'muted')];
  const { done, total, blockedBy } = progress;
  const known = done !== undefined && total !== undefined && total > 0;
  const title = phase === 'cancelling' ? `cancelling: ${progress.phase}` : progress.phase;
  return [
    drawSegments(
      theme,
      [
        { text: safeLine(title), look: phase === 'cancelling' ? 'warning' : undefined },
        { text: elapsed, look: 'muted' },
      ],
      width,
      ', ',
    ),
    known ? drawProgressBar(theme, done / total, width) : ' '.repeat(width),
    drawSegments(theme, progressSegments(progress), width, '  '),
    ...(blockedBy === undefined ? [] : write(`waits for ${safeLine(blockedBy)}`, 'warning')),
    ...write(''),
    ...write(
      phase === 'cancelling' ? '' : `${keys.placeKeys('running', 'cancel')}: cancel`,
      'muted',
    ),
  ];
}

function progressSegments({ done, total, unit = '', rate, secondsLeft }: Progress): Segment[] {
  if (done === undefined) return [{ text: '' }];
  const all = total === undefined ? '' : ` of ${withSeparators(Math.round(total))}`;
  const share = total ? `${Math.floor((100 * done) / total)}%` : '';
  return [
    { text: share, look: 'title' },
    { text: `${withSeparators(Math.round(done))}${all} ${unit}`.trimEnd() },
    { text: rate === undefined ? '' : formatRate(rate), look: 'muted', priority: 3 },
    {
      text: secondsLeft === undefined ? '' : `${formatDuration(1000 * secondsLeft)} left`,
      look: 'muted',
      priority: 2,
    },
  ];
}

/** Wraps a text, which may hold anything, to lines of exactly `width` columns. */
export function writer(theme: Theme, width: number): (text: string, look?: Look) => string[] {
  return (text, look) =>
    wrapText(safeBlock(text), width).map((line) => {
      const blanks = ' '.repeat(Math.max(0, width - displayWidth(line)));
      return theme.paint(look, line) + blanks;
    });
}
