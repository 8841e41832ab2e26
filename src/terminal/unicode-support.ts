type Environment = Record<string, string | undefined>;

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
