/** Whether a console is connected and every pane has answered. */
export function isFilled(lines: string[]): boolean {
  const text = lines.join('\n');
  return text.includes('● connected') && text.includes('1 Recent') && !text.includes('asking …');
}

/** Whether each pane of the overview has rows of the demo: traces, hooks, indexes, tables, patterns, and events in the tail. */
export function hasTraffic(lines: string[]): boolean {
  const text = lines.join('\n');
  const rows = [
    /[1-9][\d,]* in 1h/,
    /[1-9][\d,]* calls in 1h/,
    /[1-9]\d* indexes/,
    /[1-9]\d* tables/,
    /most used [1-9]/,
    /\d\d:\d\d:\d\d +(trace|hook|call|routing) /,
  ];
  return isFilled(lines) && rows.every((row) => row.test(text));
}
