import type { Environment } from '../../core/values.js';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ConsoleError } from '../../db/errors.js';

/** The agents' CLIs that have hooks, by the name the hook gets as its first argument. */
export const agentIds = ['claude', 'codex', 'gemini', 'cursor', 'copilot', 'opencode'] as const;
export type AgentId = (typeof agentIds)[number];

/** `user`: every project of this user; `project`: shared with it; `local`: this user in this project. */
export const scopes = ['user', 'project', 'local'] as const;
export type Scope = (typeof scopes)[number];

/** Where settings files lie. */
export type Surroundings = {
  home: string;
  /** The folder of `project` and `local`. */
  project: string;
  environment: Environment;
};

/** How the hook is started: a program with arguments. */
export type HookCommand = {
  program: string;
  args: readonly string[];
  /** Where a CLI that can posts its events itself; what cannot be posted starts the program. */
  url?: string | undefined;
};

/** The path on which the collector takes the events of a CLI. */
export const hookPath = (id: AgentId): string => `/trace-console/hook/${id}`;

/** What a CLI's settings hold for the hooks of one event. */
export type HookEntry = Readonly<Record<string, unknown>>;

/** One way to be switched off, in words. */
export type Obstacle = string;

type Shared = {
  id: AgentId;
  /** As its maker calls it. */
  title: string;
  /** Where the settings of a scope lie; undefined where the CLI has no such scope. */
  file: (scope: Scope, surroundings: Surroundings) => string | undefined;
  /** The folder by which one sees that the CLI is used here. */
  folder: (surroundings: Surroundings) => string;
  /** What the user must still do after the installation. */
  afterwards?: string;
};

/** Values of an object of the settings. */
export type TelemetrySettings = {
  under: string;
  values: Readonly<Record<string, string | boolean>>;
  /** Set where nobody has set them: without them, or with others, telemetry comes all the same. */
  optional?: Readonly<Record<string, string>>;
  /** The name of the value that is the collector's address. */
  endpoint: string;
};

/** A CLI whose hooks stand in a JSON file: `hooks` → event → entries. */
export type SettingsAgent = Shared & {
  kind: 'settings';
  /** The events that are registered: all but those that are harmful or that say nothing new. */
  events: readonly string[];
  /** What a new file begins with. */
  base: Readonly<Record<string, unknown>>;
  entry: (event: string, command: HookCommand) => HookEntry;
  /** Its hooks can post events to an address. */
  canPost?: true;
  /** By which it sends telemetry to the collector, where its settings can hold that. */
  telemetry?: TelemetrySettings;
  /** The same in a file of its own, of TOML. */
  telemetryFile?: {
    path: (surroundings: Surroundings) => string;
    table: string;
    lines: (url: string) => string;
  };
  /** What keeps the installed hooks from running, read from the CLI's own files. */
  obstacles: (surroundings: Surroundings) => Obstacle[];
};

/** A CLI that loads a module of ours. */
export type PluginAgent = Shared & {
  kind: 'plugin';
  /** The module's source. @param hookProgram the path of hook.cjs */
  source: (hookProgram: string) => string;
};

export type Agent = SettingsAgent | PluginAgent;

/** A command as the user's shell reads it. */
export function shellLine({ program, args }: HookCommand, platform = process.platform): string {
  return [program, ...args].map((word) => shellWord(word, platform)).join(' ');
}

function shellWord(word: string, platform: NodeJS.Platform): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  return platform === 'win32'
    ? `"${word.replaceAll('"', '""')}"`
    : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Whether a handler in a CLI's settings starts our hook, wherever that was installed. */
export function isOurs(handler: unknown): boolean {
  if (typeof handler !== 'object' || handler === null) return false;
  const { command, args, bash, url } = handler as Record<string, unknown>;
  if (typeof url === 'string') return /\/trace-console\/hook\/\w+$/.test(url);
  const words = [command, bash, ...(Array.isArray(args) ? (args as unknown[]) : [])];
  const line = words.filter((word) => typeof word === 'string').join(' ');
  return /hook\.cjs['"]? \w+|trace-console(\.js)?['"]? hook \w+/.test(line);
}

/**
 * The path of hook.cjs that belongs to this program: beside it (or its chunk) when built, else in dist/.
 *
 * @throws ConsoleError `not_found`
 */
export function locateHookProgram(): string {
  const candidates = ['./hook.cjs', '../hook.cjs', '../../../dist/hook.cjs'];
  for (const candidate of candidates) {
    const file = fileURLToPath(new URL(candidate, import.meta.url));
    if (fs.existsSync(file)) return file;
  }
  throw new ConsoleError('not_found', 'The program of the hooks is not built.', {
    hint: 'Run "npm run build" in the folder of trace-console first.',
  });
}

/**
 * How a CLI starts the hook. In the user's own settings by its path, which costs the agent the least and needs no PATH; in
 * a project's settings, which others share, by the name that each of them has installed.
 *
 * @throws ConsoleError `usage` for a program that may be gone tomorrow
 */
export function hookCommand(scope: Scope, hookProgram: string): HookCommand {
  if (/[\\/]_npx[\\/]/.test(hookProgram)) {
    throw new ConsoleError('usage', 'npx keeps this program only for a while.', {
      hint: 'Install it first: npm install --global trace-console. Then run this again without npx.',
    });
  }
  return scope === 'project'
    ? { program: 'trace-console', args: ['hook'] }
    : { program: process.execPath, args: [hookProgram] };
}
