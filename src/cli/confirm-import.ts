import { ConsoleError } from '../db/errors.js';
import { safeText } from './safe-text.js';

/**
 * Asks before what agents did is written to a server; the embedded database is the user's own.
 *
 * @throws ConsoleError `confirmation_needed`
 */
export async function confirmImport(
  {
    flags,
    interactive,
    ask,
  }: {
    flags: { yes: boolean; json: boolean };
    interactive: boolean;
    ask: (question: string) => Promise<string>;
  },
  database: {
    capabilities: { embedded: boolean; database: string; schema: string };
    address: { host: string; port: number };
  },
  isEmpty: boolean,
): Promise<void> {
  const { capabilities, address } = database;
  if (flags.yes || isEmpty || capabilities.embedded) return;
  const where = `${capabilities.database} on ${address.host}:${address.port}, schema ${capabilities.schema}`;
  if (interactive && !flags.json) {
    const answer = await ask(
      safeText(`Prompts and results of tools go to ${where}. Type "yes" to go on: `),
    );
    if (answer.trim() === 'yes') return;
    throw new ConsoleError('confirmation_needed', 'Cancelled; nothing was written.');
  }
  throw new ConsoleError('confirmation_needed', `Nothing was written to ${where}.`, {
    hint: 'Prompts and results of tools would go there: add --yes, or --dry-run to count only.',
  });
}
