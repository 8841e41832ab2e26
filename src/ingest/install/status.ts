import fs from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import {
  scopes,
  type Agent,
  type HookCommand,
  type Scope,
  type Surroundings,
  hookCommand,
} from './agent.js';
import { installedHooks } from './merge.js';
import { pluginMark } from './opencode.js';
import { readSettingsFile } from './settings-file.js';

/** The hooks of one CLI in one scope. */
export type Installation = {
  agent: Agent;
  scope: Scope;
  file: string;
  /** Events that have the hook, of `outOf` that should. */
  events: number;
  outOf: number;
  /** What is wrong with it, in words. */
  problems: string[];
};

/** The installations there are. A file that cannot be read is one with a problem. */
export function findInstallations(
  agent: Agent,
  surroundings: Surroundings,
  hookProgram: string,
): Installation[] {
  return scopes.flatMap((scope) => {
    const file = agent.file(scope, surroundings);
    if (file === undefined) return [];
    const found = { agent, scope, file };
    try {
      const { text } = readSettingsFile(file);
      if (text === undefined) return [];
      return agent.kind === 'plugin'
        ? pluginIn(text, agent.source(hookProgram), found)
        : hooksIn(text, found, hookProgram);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      return [{ ...found, events: 0, outOf: 0, problems: [problem] }];
    }
  });
}

type Found = Pick<Installation, 'agent' | 'scope' | 'file'>;

function pluginIn(text: string, source: string, found: Found): Installation[] {
  if (!text.startsWith(pluginMark)) return [];
  const problems = text === source ? [] : ['it is of another version or place: install it again'];
  return [{ ...found, events: 1, outOf: 1, problems }];
}

function hooksIn(text: string, found: Found, hookProgram: string): Installation[] {
  const { agent, scope, file } = found;
  if (agent.kind !== 'settings') return [];
  const installed = installedHooks(text, file);
  if (installed.size === 0) return [];
  const wanted: HookCommand = currentCommand(scope, hookProgram, agent.id);
  const problems: string[] = [];
  const differing = agent.events.filter((event) => {
    const there = installed.get(event);
    return there !== undefined && !isDeepStrictEqual(there, handlerOf(agent.entry(event, wanted)));
  });
  if (differing.length > 0) problems.push('it starts another program: install it again');
  const missing = agent.events.filter((event) => !installed.has(event));
  if (missing.length > 0) problems.push(`${missing.length} events are missing: install it again`);
  for (const program of programsNamed([...installed.values()])) {
    if (!fs.existsSync(program)) problems.push(`${program} is missing: install it again`);
  }
  return [{ ...found, events: installed.size, outOf: agent.events.length, problems }];
}

function currentCommand(scope: Scope, hookProgram: string, id: string): HookCommand {
  const { program, args } = hookCommand(scope, hookProgram);
  return { program, args: [...args, id] };
}

/** The handler within an entry, or the entry itself where a CLI has no groups. */
function handlerOf(entry: Readonly<Record<string, unknown>>): unknown {
  const { hooks } = entry;
  return Array.isArray(hooks) ? hooks[0] : entry;
}

/** The paths of hook.cjs that handlers name. */
function programsNamed(handlers: readonly unknown[]): Set<string> {
  const paths = handlers.flatMap((handler) => {
    const words = JSON.stringify(handler).match(/(?:[A-Za-z]:)?[\\/][^"']*?hook\.cjs/g) ?? [];
    return words.map((word) => word.replaceAll('\\\\', '\\'));
  });
  return new Set(paths);
}
