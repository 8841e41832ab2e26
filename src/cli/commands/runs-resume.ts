import { ConsoleError } from '../../db/errors.js';
import { readRun } from '../../maintenance/journal/run.js';
import { storedAction } from '../../maintenance/registry.js';
import { defineCommand } from '../command.js';
import { actionFlags, runActionCommand } from '../run-action.js';
import { runNumber, unknownRun } from './runs.js';

export const runsResume = defineCommand({
  name: 'runs resume',
  summary: 'do a maintenance run again whose console died',
  usage: 'RUN [--dry-run] [--yes] [--json]',
  description: [
    'With the input that the journal has kept, and the preview and confirmation of its command. What',
    'the crashed run had finished is not done twice.',
  ].join('\n'),
  flags: actionFlags,
  inputs: 1,
  examples: ['trace-console runs resume 12 --yes'],
  async run(context) {
    const [text] = context.input;
    if (text === undefined) {
      throw new ConsoleError('usage', 'Which run? Give its number.', {
        hint: 'trace-console runs lists them.',
      });
    }
    const id = runNumber(text);
    const database = await context.openDatabase();
    const { schema } = database.capabilities;
    const run = await database.transaction({ readOnly: true }, (tx) => readRun(tx, schema, id));
    if (!run) throw unknownRun(id);
    const { name, input } = storedAction(run);
    return runActionCommand(name, context, input);
  },
});
