import fs from 'node:fs';
import { parse } from 'dotenv';
import { expand } from 'dotenv-expand';
import { ConsoleError } from '../errors.js';

/** Environment variables; an empty one counts as unset and is not in here. */
export type Environment = Partial<Record<string, string>>;

/** The process's variables without the empty ones. */
export function processEnvironment(variables: NodeJS.ProcessEnv = process.env): Environment {
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value));
}

/**
 * The variables of a `.env` file, `${NAME}` expanded from the file itself, then from `environment`.
 *
 * @throws ConsoleError `usage` when the file cannot be read.
 */
export function readEnvironmentFile(file: string, environment: Environment): Environment {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ConsoleError('usage', `The file of --env-file cannot be read: ${file}`, {
      hint: 'Give the path of a file with lines NAME=value, like .env.example.',
      cause,
    });
  }
  const parsed = parse(text);
  // dotenv-expand lets the process's value win over the file's; here the file was asked for by name.
  const outer = Object.fromEntries(
    Object.entries(environment).filter(([name]) => !(name in parsed)),
  ) as Record<string, string>;
  return processEnvironment(expand({ parsed, processEnv: outer }).parsed ?? {});
}
