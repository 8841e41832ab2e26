import os from 'node:os';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { formatAge } from '../../core/format/time.js';
import { ConsoleError, type ExitCode, exitCodes } from '../../db/errors.js';
import { ownSpool, reportOf } from '../../ingest/collector/status-file.js';
import {
  type Agent,
  hookCommand,
  hookPath,
  locateHookProgram,
  type Scope,
  scopes,
  type Surroundings,
} from '../../ingest/install/agent.js';
import {
  applyChange,
  type HookChange,
  isChange,
  kindOf,
  summaryOf,
  planInstall,
  planRemove,
  planTelemetryFile,
  findInstallations,
} from '../../ingest/install/change.js';
import { usualAddress } from '../../ingest/install/merge.js';
import { agentById, agents } from '../../ingest/install/registry.js';
import { lineDiff } from '../../ingest/install/settings-file.js';
import { given } from '../../core/values.js';
import { type CommandContext, defineCommand, type FlagDeclarations } from '../command.js';
import { plainTable } from '../plain-table.js';
import { safeJson, safeText } from '../safe-text.js';

/** Flags of the commands that change hooks. */
export const hookFlags = {
  scope: {
    type: 'string',
    value: 'SCOPE',
    description: 'user (default), project (shared) or local (this user in this project)',
  },
  dryRun: { type: 'boolean', description: 'show what would change, and change nothing' },
  yes: { type: 'boolean', description: 'do not ask' },
} as const satisfies FlagDeclarations;

export function surroundingsHere(): Surroundings {
  return { home: os.homedir(), project: process.cwd(), environment: process.env };
}

/** @throws ConsoleError `usage` */
export function scopeOf(given: string | undefined): Scope {
  const scope = scopes.find((candidate) => candidate === (given ?? 'user'));
  if (scope) return scope;
  throw new ConsoleError('usage', `--scope takes ${scopes.join(', ')}, not "${given ?? ''}".`);
}

/**
 * The CLIs that are named, or those whose folder is on this machine.
 *
 * @throws ConsoleError `usage`
 */
export function chosenAgents(
  names: readonly string[],
  scope: Scope,
  surroundings: Surroundings,
): Agent[] {
  if (names.length > 0) return [...new Set(names)].map(agentById);
  const used = agents.filter(
    (agent) =>
      agent.file(scope, surroundings) !== undefined && fs.existsSync(agent.folder(surroundings)),
  );
  if (used.length > 0) return used;
  throw new ConsoleError('usage', 'No CLI with hooks was found on this machine.', {
    hint: `Name one: ${agents.map(({ id }) => id).join(', ')}.`,
  });
}

const toListen = async (config: string | undefined): Promise<string[]> =>
  (await import('../collect-telemetry.js')).listenLines(config, usualAddress);

type Context = Pick<CommandContext<FlagDeclarations>, 'print' | 'note' | 'ask' | 'interactive'> & {
  flags: { yes: boolean; dryRun: boolean; json: boolean };
};

/**
 * Shows what changes, asks, and changes it.
 *
 * @param command what is typed to do it without a question
 * @param remarks what else there is to say, after the changes
 * @throws ConsoleError
 */
export async function changeHooks(
  { flags, print, note, ask, interactive }: Context,
  changes: readonly HookChange[],
  { command, remarks }: { command: string; remarks: readonly string[] },
): Promise<ExitCode> {
  const say = flags.json ? () => undefined : (line: string) => print(safeText(line));
  for (const change of changes) for (const line of changeLines(change)) say(line);
  const due = changes.filter(isChange);
  if (due.length > 0) {
    say(flags.dryRun ? 'Would change:' : 'To be changed:');
    for (const change of due) say(`  ${summaryOf(change)}`);
  }
  if (due.length > 0 && !flags.dryRun) {
    if (!flags.yes) {
      if (!interactive || flags.json) {
        throw new ConsoleError('confirmation_needed', 'Nothing was changed.', {
          hint: `To change what is listed above: trace-console ${command} --yes`,
        });
      }
      const answer = await ask('Write this? Type "yes": ');
      if (answer.trim().toLowerCase() !== 'yes') {
        note('Cancelled; nothing was changed.');
        return exitCodes.refused;
      }
    }
    for (const change of due) applyChange(change, surroundingsHere());
    say(`Written: ${due.map(({ path }) => path).join(', ')}`);
  }
  for (const remark of remarks) say(remark);
  if (flags.dryRun) say('Nothing was changed (--dry-run).');
  if (flags.json) {
    const list = changes.map((change) => ({
      cli: change.agent.id,
      file: change.path,
      changes: isChange(change),
      diff: diffOf(change),
    }));
    print(safeJson({ ok: true, dryRun: flags.dryRun, files: list, remarks }, 2));
  }
  return exitCodes.good;
}

const diffOf = ({ file, after }: HookChange) => lineDiff(file.text ?? '', after ?? '');

function changeLines(change: HookChange): string[] {
  const { agent, path, file } = change;
  const link = file.real === path ? '' : ` → ${file.real}`;
  const head = `${agent.title}: ${path}${link} (${kindOf(change)})`;
  return [head, ...diffOf(change).map((line) => `  ${line}`)];
}

export const hooksInstallCommand = defineCommand({
  name: 'hooks install',
  summary: 'have agents report what they do, by hooks in their settings',
  usage:
    '[claude|codex|gemini|cursor|copilot|opencode …] [--scope user|project|local] [--telemetry] [--http] [--dry-run] [--yes] [--json]',
  description: [
    'Adds a hook to the settings of the named CLIs, or of all that are found on this machine: shows the',
    'difference first, then asks. Comments, order and other hooks stay; installed twice nothing changes.',
    'The hook puts each event, without secrets, into a spool in the home folder; "trace-console collect"',
    'brings it into the database, and is started by the hook where it does not run.',
    '',
    '--telemetry also has Claude Code, Codex and Gemini CLI send OpenTelemetry to where [collect] listen',
    'says (else to 127.0.0.1:4318). Settings that send it elsewhere stay; hooks remove takes ours out.',
    '',
    'With --json: {"ok", "dryRun", "files": [{"cli", "file", "changes", "diff"}], "remarks"}.',
  ].join('\n'),
  flags: {
    ...hookFlags,
    telemetry: {
      type: 'boolean',
      description:
        'Claude Code, Codex, Gemini CLI: send their telemetry to "collect --listen", too',
    },
    http: {
      type: 'boolean',
      description: 'Claude Code: post events to "collect --listen", without a process for each',
    },
  },
  inputs: 6,
  examples: [
    'trace-console hooks install claude --dry-run',
    'trace-console hooks install claude codex --yes',
    'trace-console hooks install claude --scope project',
    'trace-console hooks install claude --telemetry',
    'trace-console hooks install claude --http',
  ],
  async run(context) {
    const scope = scopeOf(context.flags.scope);
    const surroundings = surroundingsHere();
    const hookProgram = locateHookProgram();
    const { http, dryRun, config } = context.flags;
    const { collectListen } = context.settings;
    const telemetry = context.flags.telemetry ? await telemetryUrl(context) : undefined;
    const url = http ? await urlToPost(context) : undefined;
    const command = { ...hookCommand(scope, hookProgram), url };
    const programs = { command, hookProgram, telemetry };
    const chosen = chosenAgents(context.input, scope, surroundings);
    const changes = chosen.flatMap((agent) => [
      planInstall(agent, scope, surroundings, programs),
      ...(telemetry === undefined ? [] : planTelemetryFile(agent, surroundings, telemetry)),
    ]);
    const remarks = chosen.flatMap((agent) => [
      ...(agent.afterwards === undefined || dryRun ? [] : [`To do: ${agent.afterwards}`]),
      ...(agent.kind === 'plugin'
        ? []
        : agent.obstacles(surroundings).map((obstacle) => `Not run now: ${obstacle}.`)),
    ]);
    const where = scope === 'user' ? '' : ` --scope ${scope}`;
    const also = `${telemetry === undefined ? '' : ' --telemetry'}${http ? ' --http' : ''}`;
    const names = chosen.map(({ id }) => id).join(' ');
    return changeHooks(context, changes, {
      command: `hooks install ${names}${where}${also}`,
      remarks: [
        ...remarks,
        ...((telemetry !== undefined || http) && collectListen === undefined
          ? [`To do: have the collector listen, ${(await toListen(config)).join('\n')}`]
          : []),
        ...(telemetry !== undefined && given(process.env.TRACE_CONSOLE_LISTEN_TOKEN) !== undefined
          ? [
              'To do: the collector asks for a token (TRACE_CONSOLE_LISTEN_TOKEN) and refuses telemetry without it. Claude Code sends what OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer TOKEN" says in its environment.',
            ]
          : []),
        ...(http
          ? [
              'To do: have the collector run always (trace-console collect --service): while it does not, Claude Code shows an error for each event.',
            ]
          : []),
        ...(dryRun
          ? []
          : [
              `See whether events come: trace-console hooks status. Take it away: trace-console hooks remove ${names}${where}`,
            ]),
      ],
    });
  },
});

const telemetryUrl = async ({
  settings,
}: Pick<CommandContext<FlagDeclarations>, 'settings'>): Promise<string> =>
  (await import('../collect-telemetry.js')).reachedAt(settings, usualAddress);

/** @throws ConsoleError `usage` */
async function urlToPost({
  settings,
}: Pick<CommandContext<FlagDeclarations>, 'settings'>): Promise<string> {
  const { postAddress } = await import('../collect-telemetry.js');
  return `${postAddress(settings, usualAddress)}${hookPath('claude')}`;
}

export const hooksRemoveCommand = defineCommand({
  name: 'hooks remove',
  summary: "take trace-console's hooks out of agents' settings again",
  usage:
    '[claude|codex|gemini|cursor|copilot|opencode …] [--scope user|project|local] [--dry-run] [--yes] [--json]',
  description: [
    'A settings file that nobody has changed since the installation becomes what it was before, byte for',
    'byte; from another only the hooks of trace-console are taken, and what --telemetry has set. What was',
    'collected stays.',
    '',
    'With --json: {"ok", "dryRun", "files": [{"cli", "file", "changes", "diff"}], "remarks"}.',
  ].join('\n'),
  flags: hookFlags,
  inputs: 6,
  examples: ['trace-console hooks remove claude --dry-run', 'trace-console hooks remove --yes'],
  async run(context) {
    const scope = scopeOf(context.flags.scope);
    const surroundings = surroundingsHere();
    const chosen = chosenAgents(context.input, scope, surroundings);
    const url = await telemetryUrl(context);
    const changes = chosen.flatMap((agent) => [
      planRemove(agent, scope, surroundings, url),
      // It is the user's, whatever the scope of the hooks.
      ...(scope === 'user' ? planTelemetryFile(agent, surroundings, undefined) : []),
    ]);
    const names = chosen.map(({ id }) => id).join(' ');
    const where = scope === 'user' ? '' : ` --scope ${scope}`;
    return changeHooks(context, changes, {
      command: `hooks remove ${names}${where}`,
      remarks: [],
    });
  },
});

export const hooksStatusCommand = defineCommand({
  name: 'hooks status',
  summary: 'say which agents report, when each did last, and what keeps them from it',
  usage: '[claude|codex|gemini|cursor|copilot|opencode …] [--json]',
  description: [
    'Reads settings and spool only, no database. Exit code 1 where an installed hook cannot work.',
    '',
    'With --json: {"ok", "clis": [{"cli", "title", "installations": [{"scope", "file", "events", "outOf",',
    '"telemetry", "problems"}], "obstacles", "lastEvent"}]}.',
  ].join('\n'),
  flags: {},
  inputs: 6,
  examples: ['trace-console hooks status', 'trace-console hooks status claude --json'],
  async run({ flags, input, print, settings }) {
    const surroundings = surroundingsHere();
    const hookProgram = locateHookProgram();
    const chosen = input.length > 0 ? input.map(agentById) : agents;
    const { lastEvents: last } = reportOf(ownSpool());
    const clis = chosen.map((agent) => ({
      cli: agent.id,
      title: agent.title,
      installations: findInstallations(agent, surroundings, hookProgram).map(
        ({ scope, file, events, outOf, telemetry, problems }) => ({
          ...{ scope, file, events, outOf },
          telemetry: telemetry ?? null,
          problems,
        }),
      ),
      obstacles: agent.kind === 'plugin' ? [] : agent.obstacles(surroundings),
      lastEvent: last.get(agent.id)?.toISOString() ?? null,
    }));
    const ok = clis.every(
      ({ installations, obstacles }) =>
        installations.length === 0 ||
        (obstacles.length === 0 && installations.every(({ problems }) => problems.length === 0)),
    );
    if (flags.json) {
      print(safeJson({ ok, clis }, 2));
      return ok ? exitCodes.good : exitCodes.notGood;
    }
    const rows = clis.flatMap(({ title, cli, installations }) => {
      const at = last.get(cli);
      const age = at === undefined ? 'never' : `${formatAge(Date.now() - at.getTime())} ago`;
      if (installations.length === 0) return [[title, 'no hooks', '', '', '', age]];
      return installations.map(({ scope, file, events, outOf, telemetry }) => [
        title,
        scope,
        `${events} of ${outOf}`,
        telemetry === null ? '' : telemetry ? 'on' : 'off',
        safeText(file),
        age,
      ]);
    });
    print(plainTable(['CLI', 'Scope', 'Events', 'Telemetry', 'File', 'Last event'], rows));
    for (const { title, installations, obstacles } of clis) {
      if (installations.length === 0) continue;
      const problems = installations.flatMap((each) =>
        each.problems.map((what) => `${each.file}: ${what}`),
      );
      for (const line of [...problems, ...obstacles.map((what) => `not run: ${what}`)]) {
        print(safeText(`${title}: ${line}`));
      }
    }
    if (
      settings.collectListen === undefined &&
      clis.some(({ installations }) => installations.some(({ telemetry }) => telemetry === true))
    ) {
      const lines = await toListen(flags.config);
      print(
        safeText(`Telemetry: a collector takes it with --listen, or with this ${lines.join('\n')}`),
      );
    }
    for (const { afterwards } of chosen.filter(
      ({ id }) =>
        last.get(id) === undefined &&
        clis.some((each) => each.cli === id && each.installations.length > 0),
    )) {
      if (afterwards !== undefined) print(afterwards);
    }
    return ok ? exitCodes.good : exitCodes.notGood;
  },
});

export const command = defineCommand({
  name: 'hook',
  summary: "take one event from an agent's CLI; what its settings start",
  usage: 'CLI [EVENT]',
  description: [
    'Reads the event as JSON from stdin and puts it, without secrets, into the spool. It prints nothing',
    'and exits with 0 whatever happens: an agent may be waiting. "trace-console hooks install" writes it',
    'into the settings; "trace-console collect" brings the events into the database.',
  ].join('\n'),
  flags: {},
  inputs: 2,
  examples: ['trace-console hook claude < event.json'],
  // The launcher starts the hook's program itself; only another start of the console comes here.
  run({ input }) {
    const { run } = createRequire(import.meta.url)(locateHookProgram()) as {
      run: (words: readonly string[]) => void;
    };
    run(input);
    return Promise.resolve(exitCodes.good);
  },
});
