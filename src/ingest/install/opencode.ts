import path from 'node:path';
import { given } from '../../core/values.js';
import type { PluginAgent, Surroundings } from './agent.js';

const configFolder = ({ environment, home }: Surroundings): string =>
  path.join(given(environment.XDG_CONFIG_HOME) ?? path.join(home, '.config'), 'opencode');

/** The first line, by which our file is recognised. */
export const pluginMark =
  '// Written by trace-console: "trace-console hooks remove opencode" takes it away.';

export const opencode: PluginAgent = {
  id: 'opencode',
  title: 'OpenCode',
  kind: 'plugin',
  file(scope, surroundings) {
    if (scope === 'local') return undefined;
    const folder =
      scope === 'user' ? configFolder(surroundings) : path.join(surroundings.project, '.opencode');
    return path.join(folder, 'plugins', 'trace-console.js');
  },
  folder: configFolder,
  source: (hookProgram) => `${pluginMark}
// It puts what OpenCode does into the spool of trace-console, and changes nothing of it.
import { createRequire } from 'node:module';

// Those of every piece of an answer are left out.
const events = new Set([
  'session.created', 'session.idle', 'session.error', 'session.compacted', 'session.deleted',
  'message.updated', 'permission.asked', 'permission.updated', 'permission.replied',
]);

export const TraceConsole = async ({ directory }) => {
  let receive;
  try {
    ({ receive } = createRequire(import.meta.url)(${JSON.stringify(hookProgram)}));
  } catch {
    return {};
  }
  const tell = (event, payload) => {
    try {
      const input = JSON.stringify({ cwd: directory, ...payload });
      receive({ cli: 'opencode', event, input, atMs: Date.now() });
    } catch {}
  };
  return {
    event: async ({ event }) => {
      if (events.has(event.type)) tell(event.type, { properties: event.properties });
    },
    'chat.message': async (input, output) =>
      tell('chat.message', { ...input, message: output.message, parts: output.parts }),
    'tool.execute.before': async (input, output) =>
      tell('tool.execute.before', { ...input, args: output.args }),
    'tool.execute.after': async (input, output) =>
      tell('tool.execute.after', { ...input, title: output.title, output: output.output, metadata: output.metadata }),
  };
};
`,
};
