import type { CellValue, Column, Tone } from './pane.js';
import { sparkline } from './sparkline.js';

/** What differs between the columns of a kind; the width is that of the kind's longest text. */
type Given<Row, Value extends CellValue> = {
  id: string;
  title: string;
  priority: number;
  value(row: Row): Value;
  tone?(row: Row): Tone | undefined;
};

function kind(format: Column<object>['format'], width: number) {
  return <Row, Value extends CellValue>(given: Given<Row, Value>): Column<Row> => {
    const columns = Math.max(width, given.title.length);
    return { align: 'right', format, minWidth: columns, maxWidth: columns, ...given };
  };
}

export const countColumn = kind('count', 6);
export const durationColumn = kind('duration', 6);
export const shareColumn = kind('share', 4);
export const changeColumn = kind('change', 6);
export const ageColumn = kind('age', 4);
export const bytesColumn = kind('bytes', 7);

/** Parts of the window in a trend: a column of the screen each. */
export const trendParts = 12;

/** How the calls of a row are spread over the window, oldest first. */
export function trendColumn<Row extends { trend: readonly number[] }>(
  priority: number,
  tone: Tone,
): Column<Row> {
  return {
    id: 'trend',
    title: 'over window',
    align: 'left',
    format: 'text',
    value: ({ trend }) => sparkline(trend),
    tone: () => tone,
    priority,
    minWidth: trendParts,
    maxWidth: trendParts,
  };
}

/** Beyond these a person waits. */
const slowMs = 1_000;
const verySlowMs = 5_000;

export function durationTone(ms: number | null): Tone | undefined {
  if (ms === null || ms < slowMs) return undefined;
  return ms < verySlowMs ? 'warning' : 'error';
}

/** Failures beside calls: some are seen, one in twenty stands out. */
export function failureTone(failures: number, calls: number): Tone | undefined {
  if (failures === 0) return 'muted';
  return failures / calls >= 0.05 ? 'error' : 'warning';
}
