import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { ensurePrivateFolder } from '../../embedded/folder/paths.js';
import { spoolFolder } from '../spool/append.js';
import { collectorOf } from './collector.js';

/** The database of a collector. A URL may hold a password: it goes through the environment, where others do not see it. */
export type CollectorTarget =
  | { kind: 'connection'; name: string; config?: string | undefined }
  | { kind: 'folder'; dataDir: string }
  | { kind: 'url'; url: string; schema?: string | undefined };

/**
 * Starts the collector of this user's spool where none lives. It outlives this process.
 *
 * @param program the console's main program, as `process.argv[1]` names it
 */
export function ensureCollector(
  target: CollectorTarget,
  program: string,
  environment: NodeJS.ProcessEnv = process.env,
): 'running' | 'started' {
  const folder = spoolFolder(environment, os.homedir);
  ensurePrivateFolder(folder);
  if (collectorOf(folder) !== undefined) return 'running';
  const { flags, variables } = started(target);
  // Next to it a hook may do the same: the second one finds the spool taken, and ends.
  spawn(
    process.execPath,
    [...process.execArgv, fs.realpathSync(program), 'collect', '--background', ...flags],
    {
      cwd: folder,
      detached: true,
      stdio: 'ignore',
      env: { ...environment, TRACE_CONSOLE_SPOOL: folder, ...variables },
    },
  )
    .on('error', () => undefined)
    .unref();
  return 'started';
}

function started(target: CollectorTarget): { flags: string[]; variables: NodeJS.ProcessEnv } {
  switch (target.kind) {
    case 'connection':
      return {
        flags: [
          ...['--connection', target.name],
          ...(target.config === undefined ? [] : ['--config', target.config]),
        ],
        variables: {},
      };
    case 'folder':
      return { flags: ['--data-dir', target.dataDir], variables: {} };
    case 'url':
      return {
        flags: target.schema === undefined ? [] : ['--schema', target.schema],
        variables: { DATABASE_URL: target.url },
      };
  }
}

/** How a service manager starts the collector. */
export type ServiceCommand = { program: string; args: readonly string[] };

/** A systemd user unit, for `~/.config/systemd/user/trace-console-collect.service`. */
export function systemdUnit({ program, args }: ServiceCommand): string {
  const words = [program, ...args].map(
    (word) => `"${word.replace(/["\\]/g, '\\$&').replaceAll('%', '%%').replaceAll('$', '$$$$')}"`,
  );
  return `[Unit]
Description=trace-console: collects what agents do

[Service]
ExecStart=${words.join(' ')}
Restart=on-failure
RestartSec=5

[Install]
WantedBy=default.target`;
}

/** A launchd agent, for `~/Library/LaunchAgents/trace-console.collect.plist`. */
export function launchdPlist({ program, args }: ServiceCommand): string {
  const words = [program, ...args].map((word) => `    <string>${escapeXml(word)}</string>`);
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>trace-console.collect</string>
  <key>ProgramArguments</key>
  <array>
${words.join('\n')}
  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
</dict>
</plist>`;
}

const escapeXml = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
