import Table from 'cli-table3';

/**
 * A plain table for reports: aligned columns, a rule under the head, no colours. Cells must be free
 * of control characters.
 */
export function plainTable(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  right: readonly number[] = [],
): string {
  const table = new Table({
    head: [...head],
    colAligns: head.map((_, index) => (right.includes(index) ? 'right' : 'left')),
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
    chars: {
      top: '',
      'top-mid': '',
      'top-left': '',
      'top-right': '',
      bottom: '',
      'bottom-mid': '',
      'bottom-left': '',
      'bottom-right': '',
      left: '',
      'left-mid': '',
      mid: '',
      'mid-mid': '',
      right: '',
      'right-mid': '',
      middle: '',
    },
  });
  table.push(...rows.map((row) => [...row]));
  const [first = '', ...rest] = table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
  const width = Math.max(first.length, ...rest.map((line) => line.length));
  return [first, '─'.repeat(width), ...rest].join('\n');
}
