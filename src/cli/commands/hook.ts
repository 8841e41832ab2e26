import { createRequire } from 'node:module';
import { exitCodes } from '../../db/errors.js';
import { locateHookProgram } from '../../ingest/install/agent.js';
import { defineCommand } from '../command.js';

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
