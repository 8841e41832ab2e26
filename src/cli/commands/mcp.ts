import { exitCodes, ConsoleError, failureOf, type ExitCode } from '../../db/errors.js';
import { chooseEmbedder } from '../../learning/embedding/choose.js';
import { serveMcp } from '../../learning/mcp/server.js';
import { type CommandContext, defineCommand, embeddingFlags } from '../command.js';
import { homedir } from 'node:os';
import { existsSync, realpathSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { lineDiff, replaceSettingsFile } from '../../ingest/install/settings-file.js';
import {
  installedServer,
  mcpClients,
  mcpSettingsPath,
  planMcpInstall,
  planMcpRemove,
  switchedOff,
  type McpChange,
  type McpClient,
} from '../../learning/mcp/install.js';
import { safeLine } from '../../terminal/sanitise.js';
import { plainTable } from '../plain-table.js';
import { actionFlags } from '../run-action.js';
import { safeJson, safeText } from '../safe-text.js';

export const command = defineCommand({
  name: 'mcp',
  summary: 'let an agent ask its own history: a read-only MCP server on stdin and stdout',
  usage: '[--embedding WHICH]',
  description: [
    'Speaks the Model Context Protocol: list_traces, get_trace, search_events, similar_patterns, usage, known_errors.',
    'Every statement runs in a read-only transaction with a time-out, answers are small, and recorded texts are marked',
    'as data. Connect it by a role that may only SELECT. It is started by the agent: see "trace-console mcp install".',
  ].join('\n'),
  flags: embeddingFlags,
  examples: ['trace-console mcp --connection prod'],
  async run({ flags, print, openDatabase }) {
    const embedder = chooseEmbedder({
      embedding: flags.embedding,
      model: flags.embeddingModel,
      isBrief: true,
    });
    // Before anything is answered, so that a wrong address is said on stderr and ends the server.
    const database = await openDatabase();
    await serveMcp({ database, embedder }, process.stdin, print);
    return exitCodes.good;
  },
});

const mcpFlags = {
  ...actionFlags,
  remove: { type: 'boolean', description: 'take the server out of the settings again' },
} as const;

type Context = CommandContext<typeof mcpFlags>;

export const mcpInstallCommand = defineCommand({
  name: 'mcp install',
  summary: 'have an agent start the MCP server, by its settings',
  usage: 'claude|codex|gemini|cursor [--connection NAME] [--remove] [--dry-run] [--yes]',
  description: [
    'Adds the server to the settings of this user (~/.claude.json, ~/.codex/config.toml, ~/.gemini/settings.json,',
    '~/.cursor/mcp.json): shows the difference first, then asks. What else is in the file stays. --connection, --data-dir,',
    '--schema and --config are handed to the server; an URL is not, because it may hold a password.',
    'With --json: {"file", "changes", "dryRun"}.',
  ].join('\n'),
  flags: mcpFlags,
  inputs: 1,
  examples: [
    'trace-console mcp install claude --connection prod',
    'trace-console mcp install codex --remove',
  ],
  async run(context) {
    const { flags, input } = context;
    const client = mcpClients.find((known) => known === input[0]);
    if (!client) {
      throw new ConsoleError('usage', `For which agent: ${mcpClients.join(', ')}?`, {
        hint: 'trace-console mcp install claude',
      });
    }
    if (flags.url !== undefined && !flags.remove) {
      throw new ConsoleError(
        'usage',
        'A URL is not written into the settings of an agent: it may hold a password.',
        {
          hint: 'Name the connection in the config file, and give --connection NAME.',
        },
      );
    }
    const at = mcpSettingsPath(client, homedir());
    const change = flags.remove
      ? planMcpRemove(client, at)
      : planMcpInstall(client, at, serverCommand(context));
    return apply(context, change);
  },
});

export const mcpRemoveCommand = defineCommand({
  name: 'mcp remove',
  summary: "take the MCP server out of agents' settings again",
  usage: '[claude|codex|gemini|cursor …] [--dry-run] [--yes]',
  description: [
    'Without names from the settings of all four. Shows the difference first, then asks; what else is in the files stays.',
    'With --json: {"file", "changes", "dryRun"} a file.',
  ].join('\n'),
  flags: actionFlags,
  inputs: 4,
  examples: ['trace-console mcp remove codex --dry-run', 'trace-console mcp remove --yes'],
  async run(context) {
    for (const client of chosenClients(context.input)) {
      const code = await apply(context, planMcpRemove(client, mcpSettingsPath(client, homedir())));
      if (code !== exitCodes.good) return code;
    }
    return exitCodes.good;
  },
});

export const mcpStatusCommand = defineCommand({
  name: 'mcp status',
  summary: 'say which agents start the MCP server, and what keeps it from starting',
  usage: '[claude|codex|gemini|cursor …] [--json]',
  description: [
    'Reads settings only, no database. Exit code 1 where an installed server cannot start, or is switched off for the working',
    'folder. With --json: {"ok", "clients": [{"client", "file", "isInstalled", "arguments", "problem", "offIn"}]}; offIn: other',
    'projects in which it is off.',
  ].join('\n'),
  flags: {},
  inputs: 4,
  examples: ['trace-console mcp status', 'trace-console mcp status claude --json'],
  run({ flags, input, print }) {
    const clients = chosenClients(input).map(statusOf);
    const ok = clients.every(({ problem }) => problem === null);
    if (flags.json) print(safeJson({ ok, clients }, 2));
    else {
      const rows = clients.map(({ client, file, isInstalled, arguments: args, problem, offIn }) => [
        client,
        isInstalled ? safeLine(['mcp', ...args].join(' '), { limit: 60 }) : 'not installed',
        safeLine(problem ?? offText(offIn), { limit: 120 }),
        safeLine(file),
      ]);
      print(plainTable(['agent', 'server', 'problem', 'settings'], rows));
    }
    return Promise.resolve(ok ? exitCodes.good : exitCodes.notGood);
  },
});

/** @throws ConsoleError `usage` */
function chosenClients(names: readonly string[]): readonly McpClient[] {
  if (names.length === 0) return mcpClients;
  return names.map((name) => {
    const client = mcpClients.find((known) => known === name);
    if (client) return client;
    throw new ConsoleError('usage', `There is no agent "${name}" here: ${mcpClients.join(', ')}.`);
  });
}

function statusOf(client: McpClient) {
  const file = mcpSettingsPath(client, homedir());
  const none = {
    client,
    file,
    isInstalled: false,
    arguments: [] as string[],
    offIn: [] as string[],
  };
  try {
    const server = installedServer(client, file);
    if (!server) return { ...none, problem: null };
    const off = switchedOff(client, { at: file, home: homedir(), cwd: process.cwd() });
    const [program = '', ...args] = server.args;
    const missing = [server.command, program].find((path) => isAbsolute(path) && !existsSync(path));
    return {
      ...none,
      isInstalled: true,
      // Behind the program, which is named for this machine.
      arguments: args.filter((argument, index) => index > 0 || argument !== 'mcp'),
      problem: missing === undefined ? (off.here ?? null) : `${missing} is missing`,
      offIn: [...off.elsewhere],
    };
  } catch (error) {
    return { ...none, problem: failureOf(error).message };
  }
}

function offText(folders: readonly string[]): string {
  const [first] = folders;
  if (first === undefined) return '';
  return folders.length === 1
    ? `off in ${first}`
    : `off in ${first} and ${folders.length - 1} more projects`;
}

type ApplyFlags = Pick<Context['flags'], 'json' | 'dryRun' | 'yes'>;

/** This very program, whatever PATH an agent has. */
function serverCommand({ flags }: Context) {
  const { connection, dataDir, schema, config } = flags;
  const given = {
    '--connection': connection,
    '--data-dir': dataDir,
    '--schema': schema,
    '--config': config,
  };
  return {
    command: process.execPath,
    args: [
      realpathSync(process.argv[1] ?? ''),
      'mcp',
      ...Object.entries(given).flatMap(([flag, value]) =>
        value === undefined ? [] : [flag, value],
      ),
    ],
  };
}

async function apply(
  context: Pick<Context, 'print' | 'note' | 'interactive' | 'ask'> & { flags: ApplyFlags },
  { path, file, after }: McpChange,
): Promise<ExitCode> {
  const { flags, print, note } = context;
  const changes = file.text !== after;
  const say = (dryRun: boolean) => {
    if (flags.json) print(safeJson({ file: path, changes, dryRun }, 2));
  };
  if (!changes) {
    say(flags.dryRun);
    note(`${path}: nothing to change.`);
    return exitCodes.good;
  }
  if (!flags.json) print(safeText([path, ...lineDiff(file.text ?? '', after ?? '')].join('\n')));
  if (flags.dryRun) {
    say(true);
    return exitCodes.good;
  }
  if (!flags.yes) {
    if (!context.interactive || flags.json) {
      throw new ConsoleError('confirmation_needed', `${path}: nothing was changed.`, {
        hint: 'Add --yes to do it, or --dry-run to see what would be done.',
      });
    }
    if ((await context.ask('Type "yes" to go on: ')).trim() !== 'yes') return exitCodes.refused;
  }
  replaceSettingsFile(file, after);
  say(false);
  note(`${path}: written. Start the agent anew.`);
  return exitCodes.good;
}
