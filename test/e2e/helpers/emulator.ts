import unicode11 from '@xterm/addon-unicode11';
import xterm from '@xterm/headless';
import type { Terminal } from '@xterm/headless';

/**
 * A headless xterm with the character widths of Unicode 11, as VS Code's terminal has them
 * (xterm's own default is Unicode 6, where every emoji is one column wide).
 */
export function createEmulator(columns: number, rows: number): Terminal {
  const terminal = new xterm.Terminal({
    cols: columns,
    rows,
    allowProposedApi: true,
    scrollback: 50,
  });
  terminal.loadAddon(new unicode11.Unicode11Addon());
  terminal.unicode.activeVersion = '11';
  return terminal;
}

/** Feeds bytes to the emulator and waits until they are parsed. */
export function feed(terminal: Terminal, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => terminal.write(data, resolve));
}

/** The visible lines, without trailing blanks. */
export function visibleLines(terminal: Terminal): string[] {
  const buffer = terminal.buffer.active;
  return Array.from({ length: terminal.rows }, (_, row) =>
    (buffer.getLine(buffer.viewportY + row)?.translateToString(true) ?? '').trimEnd(),
  );
}
