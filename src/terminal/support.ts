import { readNumber } from '../core/values.js';

/** How many colours may be used. Attributes such as bold and inverse are fine with 'none'. */
export type ColourSupport = 'none' | '16' | '256' | 'truecolor';

type Environment = Record<string, string | undefined>;

const forced = new Map(
  Object.entries<ColourSupport>({
    '0': 'none',
    false: 'none',
    '1': '16',
    '2': '256',
    '3': 'truecolor',
  }),
);

// Terminals with 24-bit colour that do not always say so in COLORTERM.
const truecolourTerms = /^(?:xterm-kitty|xterm-ghostty|wezterm|alacritty|foot|contour|.*-direct)/;

/**
 * The colours a terminal has. FORCE_COLOR (0–3) comes first, then NO_COLOR (no-color.org: any value
 * but the empty one), then what TERM and COLORTERM promise.
 */
export function colourSupport(environment: Environment, isTerminal: boolean): ColourSupport {
  const { FORCE_COLOR, NO_COLOR, COLORTERM, TERM = '' } = environment;
  const colours = FORCE_COLOR === undefined ? undefined : forced.get(FORCE_COLOR);
  if (colours !== undefined) return colours;
  if (NO_COLOR !== undefined && NO_COLOR !== '') return 'none';
  const promised = promisedBy(TERM, COLORTERM);
  if (FORCE_COLOR !== undefined) return promised === 'none' ? '16' : promised;
  return isTerminal ? promised : 'none';
}

function promisedBy(term: string, colourTerm: string | undefined): ColourSupport {
  if (term === '' || term === 'dumb' || term.startsWith('vt')) return 'none';
  if (colourTerm === 'truecolor' || colourTerm === '24bit') return 'truecolor';
  if (truecolourTerms.test(term)) return 'truecolor';
  return term.includes('256color') ? '256' : '16';
}

/**
 * Whether the terminal draws box lines, arrows, blocks and '…'. The locale's character set decides
 * (the first of LC_ALL, LC_CTYPE, LANG that is set); the Linux text console has too few glyphs.
 */
export function unicodeSupport(
  environment: Environment,
  platform: NodeJS.Platform = process.platform,
): boolean {
  if (environment.TERM === 'linux' || environment.TERM === 'dumb') return false;
  const locale = [environment.LC_ALL, environment.LC_CTYPE, environment.LANG].find(Boolean);
  // Terminals of macOS and of Windows are UTF-8 although a locale is often missing there.
  if (locale === undefined) return platform === 'darwin' || platform === 'win32';
  return /utf-?8/i.test(locale);
}

/** A file or a pipe loses signs only where the locale says so, a terminal also where nothing is said. */
export function saysAsciiOnly(environment: Environment, { isTTY = false }: Stream): boolean {
  const { LC_ALL, LC_CTYPE, LANG } = environment;
  const isSaid = [LC_ALL, LC_CTYPE, LANG].some(Boolean);
  return (isSaid || isTTY) && !unicodeSupport(environment);
}

type Stream = { isTTY?: boolean; columns?: number };

const usualColumns = 80;
/** Nothing can be read on less. */
const fewestColumns = 20;

/**
 * Columns that a printed line may have: those of the terminal, else what COLUMNS says. Undefined: no limit, for a file
 * or a pipe.
 */
export function lineWidth(
  { COLUMNS = '' }: Environment,
  { isTTY = false, columns = 0 }: Stream,
): number | undefined {
  const said =
    isTTY && columns > 0 ? columns : /^[1-9]\d{0,4}$/.test(COLUMNS) ? readNumber(COLUMNS) : 0;
  if (said > 0) return Math.max(fewestColumns, said);
  return isTTY ? usualColumns : undefined;
}

/** Whether the terminal can be painted: places addressed, lines overwritten. */
export function canPaint(environment: Environment): boolean {
  return environment.TERM !== 'dumb';
}
