/** Whether a console is connected and every pane has answered. */
export function isFilled(lines: string[]): boolean {
  const text = lines.join('\n');
  return text.includes('● connected') && text.includes('1 Recent') && !text.includes('asking …');
}
