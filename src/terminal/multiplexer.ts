export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * A control sequence for the terminal outside. Inside tmux it is sent twice: to tmux itself and through
 * it (allow-passthrough on).
 */
export function forMultiplexer(sequence: string, environment: Environment): string {
  const { TMUX, STY } = environment;
  if (TMUX !== undefined && TMUX !== '') {
    return `${sequence}\x1bPtmux;${sequence.replaceAll('\x1b', '\x1b\x1b')}\x1b\\`;
  }
  // GNU screen passes device control strings of up to 768 bytes on.
  if (STY !== undefined && STY !== '') {
    return (sequence.match(/[^]{1,700}/g) ?? []).map((part) => `\x1bP${part}\x1b\\`).join('');
  }
  return sequence;
}
