import type { Failure } from '../db/errors.js';

/** What is typed for a database that has no name, as in `cd -`. */
export const unnamed = '-';

/** What several places of the screen say, in one list to be read together. */
export const strings = {
  asking: 'asking …',
  beingFilled: (share: string) => `The history of the demo is being written: ${share}`,
  readingOn: 'Reading the next events …',
  connecting: 'connecting …',
  fleet: 'the fleet',
  back: 'Enter: back',
  stay: 'Enter, Esc: stay',
  refreshing: 'Refreshing now',
  recordingIsFixed: 'This is a recording: nothing is asked or changed',
  consoleIsReadOnly: 'The console is read-only',
  notConnected: 'There is no connection yet',
  firstRow: 'This is the first row',
  lastRow: 'This is the last row',
  firstColumn: 'This is the first column',
  noMoreColumns: 'There are no further columns',
  nothingToCopy: 'There is nothing here to copy',
  nothingToExport: 'There are no rows to write',
  cannotDetach: 'Cannot detach now: this step needs the console',
  idHasDigits: 'An id has hexadecimal digits; give the first four at least',
  slowestFirst: 'slowest first',
  inOrder: (title: string) => `${title} first`,
  noMatch: (filter: string, count: number, columns: readonly { title: string }[]) => {
    const is = columns.some(({ title }) => title === filter.trim().toLowerCase());
    const meant = is ? ` ${filter.trim()} is a column: /${filter.trim()}:TEXT looks in it.` : '';
    return count === 1
      ? `The only row does not match /${filter}; Esc shows it.${meant}`
      : `None of ${count} rows matches /${filter}; Esc shows them all.${meant}`;
  },
  noTimeWindow: (title: string) => `${title} has no time window`,
  refreshEvery: (span: string) => `Refresh: every ${span} (slower if it would load the server)`,
  sortedBy: (title: string, sort: string, end: 'first' | 'last') => `${title}: ${sort} ${end}`,
} as const;

/** A failure in one line: the message, and what to try next. */
export function failureText({ message, hint }: Failure): string {
  return hint === undefined ? message : `${message} ${hint}`;
}
