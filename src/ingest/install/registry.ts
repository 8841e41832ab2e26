import { ConsoleError } from '../../db/errors.js';
import { opencode } from './opencode.js';
import {
  agentIds,
  type Agent,
  type HookCommand,
  type Scope,
  type SettingsAgent,
  type Surroundings,
  shellLine,
} from './agent.js';
import path from 'node:path';
import { given } from '../../core/values.js';
import { truthyAt, falseAt, hasListAt, listAt, textOf } from './settings-file.js';
import { readTextFile } from '../../core/folders.js';
import { parse } from 'smol-toml';

const configFolder = ({ environment, home }: Surroundings): string =>
  given(environment.CLAUDE_CONFIG_DIR) ?? path.join(home, '.claude');

function claudeSettingsFile(scope: Scope, surroundings: Surroundings): string {
  const { project } = surroundings;
  switch (scope) {
    case 'user':
      return path.join(configFolder(surroundings), 'settings.json');
    case 'project':
      return path.join(project, '.claude', 'settings.json');
    case 'local':
      return path.join(project, '.claude', 'settings.local.json');
  }
}

/** Claude waits for these: an asynchronous hook at the end of `claude -p` would be killed. */
const awaited: ReadonlySet<string> = new Set(['Stop', 'SubagentStop', 'SessionEnd']);

/** Claude cannot post these. */
const started: ReadonlySet<string> = new Set(['SessionStart', 'Setup']);

/** Seconds. */
const timeout = 10;

/** Where an administrator sets what no user can. */
const managedFiles: Partial<Record<NodeJS.Platform, string>> = {
  linux: '/etc/claude-code/managed-settings.json',
  darwin: '/Library/Application Support/ClaudeCode/managed-settings.json',
  win32: 'C:\\Program Files\\ClaudeCode\\managed-settings.json',
};

export const claude: SettingsAgent = {
  id: 'claude',
  title: 'Claude Code',
  kind: 'settings',
  base: {},
  // Not WorktreeCreate, where a hook replaces git's worktree, and not MessageDisplay, which runs for every
  // few lines on the screen.
  events: [
    'SessionStart',
    'Setup',
    'UserPromptSubmit',
    'UserPromptExpansion',
    'PreToolUse',
    'PostToolUse',
    'PostToolUseFailure',
    'PostToolBatch',
    'PermissionRequest',
    'PermissionDenied',
    'Notification',
    'SubagentStart',
    'SubagentStop',
    'Stop',
    'StopFailure',
    'PreCompact',
    'PostCompact',
    'SessionEnd',
    'InstructionsLoaded',
    'PreModelSwitch',
    'PostModelSwitch',
    'ConfigChange',
    'CwdChanged',
    'DirectoryAdded',
    'FileChanged',
    'TaskCreated',
    'TaskCompleted',
    'TeammateIdle',
    'Elicitation',
    'ElicitationResult',
    'WorktreeRemove',
    'PreSkillShellCommand',
  ],
  file: claudeSettingsFile,
  folder: configFolder,
  canPost: true,
  entry: (event: string, { program, args, url }: HookCommand) => ({
    hooks: [
      url !== undefined && !started.has(event)
        ? { type: 'http', url, timeout }
        : {
            type: 'command',
            command: program,
            args: [...args],
            timeout,
            ...(awaited.has(event) ? {} : { async: true }),
          },
    ],
  }),
  telemetry: {
    under: 'env',
    values: {
      CLAUDE_CODE_ENABLE_TELEMETRY: '1',
      OTEL_LOGS_EXPORTER: 'otlp',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    },
    // Lines, commits and active time; somebody's metrics may go to a monitoring system already.
    optional: { OTEL_METRICS_EXPORTER: 'otlp' },
    endpoint: 'OTEL_EXPORTER_OTLP_ENDPOINT',
  },
  obstacles(surroundings) {
    const managed = managedFiles[process.platform];
    const files = [
      ...(managed === undefined ? [] : [managed]),
      ...(['user', 'project', 'local'] as const).map((scope) =>
        claudeSettingsFile(scope, surroundings),
      ),
    ];
    const found = files
      .filter((file) => truthyAt(file, ['disableAllHooks']))
      .map((file) => `disableAllHooks is set in ${file}`);
    if (managed !== undefined && truthyAt(managed, ['allowManagedHooksOnly'])) {
      found.push(`allowManagedHooksOnly is set in ${managed}: only its own hooks run`);
    }
    // The lists of all files are one list, and an empty one allows nothing.
    const lists = files.filter((file) => hasListAt(file, ['allowedHttpHookUrls']));
    const allowed = lists.flatMap((file) => listAt(file, ['allowedHttpHookUrls']));
    const posted = new Set(files.map(postedTo).filter((url) => url !== undefined));
    for (const url of lists.length === 0 ? [] : posted) {
      if (allowed.some((each) => matches(each, url))) continue;
      found.push(`allowedHttpHookUrls in ${lists.join(' and ')} does not name ${url}`);
    }
    return found;
  },
};

/** The address that our hooks in a settings file post to. */
function postedTo(file: string): string | undefined {
  const text = textOf(file) ?? '';
  return /"(https?:\/\/[^"\s]+\/trace-console\/hook\/\w+)"/.exec(text)?.[1];
}

/** `*` stands for anything. */
const matches = (pattern: unknown, url: string): boolean =>
  typeof pattern === 'string' &&
  new RegExp(`^${pattern.replace(/[\\^$.+?()[\]{}|]/g, '\\$&').replaceAll('*', '.*')}$`).test(url);

const codexHome = ({ environment, home: folder }: Surroundings): string =>
  given(environment.CODEX_HOME) ?? path.join(folder, '.codex');

const codex: SettingsAgent = {
  id: 'codex',
  title: 'Codex CLI',
  kind: 'settings',
  base: {},
  events: [
    'SessionStart',
    'UserPromptSubmit',
    'PreToolUse',
    'PermissionRequest',
    'PostToolUse',
    'PreCompact',
    'PostCompact',
    'SubagentStart',
    'SubagentStop',
    'Stop',
    // Of newer versions; older ones ignore them.
    'Interrupt',
    'SessionEnd',
  ],
  file(scope, surroundings) {
    if (scope === 'local') return undefined;
    const folder =
      scope === 'user' ? codexHome(surroundings) : path.join(surroundings.project, '.codex');
    return path.join(folder, 'hooks.json');
  },
  folder: codexHome,
  // Seconds.
  entry: (_, command) => ({
    hooks: [{ type: 'command', command: shellLine(command), timeout: 10 }],
  }),
  telemetryFile: {
    path: (surroundings) => path.join(codexHome(surroundings), 'config.toml'),
    table: 'otel',
    lines: (url) => `[otel]
exporter = { otlp-http = { endpoint = "${url}/v1/logs", protocol = "binary" } }`,
  },
  afterwards:
    'Codex runs a new hook only after you have trusted it: start codex, type /hooks, and trust the entries of trace-console. After an update that changes the command, once more.',
  obstacles(surroundings) {
    const file = path.join(codexHome(surroundings), 'config.toml');
    return hasHooksOff(file) ? [`[features] hooks = false in ${file}`] : [];
  },
};

function hasHooksOff(file: string): boolean {
  try {
    const { features } = parse(readTextFile(file));
    if (typeof features !== 'object' || Array.isArray(features)) return false;
    const { hooks, codex_hooks: older } = features as Record<string, unknown>;
    return (hooks ?? older) === false;
  } catch {
    // No file, or one that Codex itself complains about.
    return false;
  }
}

const copilotHome = ({ environment, home: folder }: Surroundings): string =>
  given(environment.COPILOT_HOME) ?? path.join(folder, '.copilot');

const copilot: SettingsAgent = {
  id: 'copilot',
  title: 'GitHub Copilot CLI',
  kind: 'settings',
  base: { version: 1 },
  events: [
    'sessionStart',
    'userPromptSubmitted',
    'preToolUse',
    'postToolUse',
    'agentStop',
    'subagentStop',
    'preCompact',
    'errorOccurred',
    'notification',
    'sessionEnd',
  ],
  file(scope, surroundings) {
    if (scope === 'local') return undefined;
    const folder =
      scope === 'user'
        ? path.join(copilotHome(surroundings), 'hooks')
        : path.join(surroundings.project, '.github', 'hooks');
    return path.join(folder, 'trace-console.json');
  },
  folder: copilotHome,
  // The payload does not name its event; timeoutSec is in seconds.
  entry: (event, { program, args }) => {
    const command = { program, args: [...args, event] };
    return {
      type: 'command',
      bash: shellLine(command, 'linux'),
      powershell: `& ${shellLine(command, 'win32')}`,
      timeoutSec: 10,
    };
  },
  obstacles(surroundings) {
    const file = path.join(copilotHome(surroundings), 'config.json');
    return truthyAt(file, ['disableAllHooks']) ? [`disableAllHooks is set in ${file}`] : [];
  },
};

const cursor: SettingsAgent = {
  id: 'cursor',
  title: 'Cursor',
  kind: 'settings',
  base: { version: 1 },
  // preToolUse and postToolUse tell of every tool, so that the pairs of single tools (beforeShellExecution, …) would
  // tell of the same calls again. beforeReadFile carries whole files.
  events: [
    'sessionStart',
    'beforeSubmitPrompt',
    'preToolUse',
    'postToolUse',
    'postToolUseFailure',
    'afterAgentResponse',
    'afterAgentThought',
    'subagentStart',
    'subagentStop',
    'preCompact',
    'stop',
    'sessionEnd',
  ],
  file(scope, { home, project }) {
    if (scope === 'local') return undefined;
    return path.join(scope === 'user' ? home : project, '.cursor', 'hooks.json');
  },
  folder: ({ home }) => path.join(home, '.cursor'),
  // Seconds.
  entry: (event, { program, args }) => ({
    command: shellLine({ program, args: [...args, event] }),
    timeout: 10,
  }),
  obstacles: () => [],
};

/** By it Gemini's own settings can switch single hooks off. */
const hookName = 'trace-console';

function geminiSettingsFile(scope: Scope, { home, project }: Surroundings): string | undefined {
  if (scope === 'local') return undefined;
  return path.join(scope === 'user' ? home : project, '.gemini', 'settings.json');
}

const gemini: SettingsAgent = {
  id: 'gemini',
  title: 'Gemini CLI',
  kind: 'settings',
  base: {},
  // Not BeforeModel, AfterModel and BeforeToolSelection, which run for every piece of an answer.
  events: [
    'SessionStart',
    'BeforeAgent',
    'BeforeTool',
    'AfterTool',
    'AfterAgent',
    'Notification',
    'PreCompress',
    'SessionEnd',
  ],
  file: geminiSettingsFile,
  folder: ({ home }) => path.join(home, '.gemini'),
  telemetry: {
    under: 'telemetry',
    values: {
      enabled: true,
      target: 'local',
      otlpProtocol: 'http',
    },
    endpoint: 'otlpEndpoint',
  },
  // Milliseconds.
  entry: (_, command) => ({
    hooks: [{ name: hookName, type: 'command', command: shellLine(command), timeout: 10_000 }],
  }),
  obstacles: (surroundings) =>
    (['user', 'project'] as const).flatMap((scope) => {
      const file = geminiSettingsFile(scope, surroundings) ?? '';
      return [
        ...(falseAt(file, ['hooksConfig', 'enabled']) || falseAt(file, ['tools', 'enableHooks'])
          ? [`hooks are switched off in ${file}`]
          : []),
        ...(listAt(file, ['hooksConfig', 'disabled']).includes(hookName)
          ? [`hooksConfig.disabled names ${hookName} in ${file}`]
          : []),
      ];
    }),
};

export const agents: readonly Agent[] = [claude, codex, gemini, cursor, copilot, opencode];

/** @throws ConsoleError `usage` */
export function agentById(id: string): Agent {
  const agent = agents.find((candidate) => candidate.id === id);
  if (agent) return agent;
  throw new ConsoleError('usage', `There is no CLI "${id}".`, {
    hint: `CLIs with hooks: ${agentIds.join(', ')}.`,
  });
}
