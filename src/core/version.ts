import { readFileSync } from 'node:fs';

declare const __TRACE_CONSOLE_VERSION__: string | undefined;

/** The console's version: built in by the bundler, read from package.json when run from source. */
export function consoleVersion(): string {
  if (typeof __TRACE_CONSOLE_VERSION__ === 'string') return __TRACE_CONSOLE_VERSION__;
  const file = new URL('../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return version;
}
