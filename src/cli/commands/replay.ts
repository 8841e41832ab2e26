import { ConsoleError, type ExitCode } from '../../db/errors.js';
import { Recording } from '../../live/recording/recording.js';
import { defineCommand } from '../command.js';

export const replay = defineCommand({
  name: 'replay',
  summary: 'play a recording of the console, for the review of an incident',
  usage: 'FILE',
  description: [
    'Shows what the console showed while it ran with --record FILE. Space stops it and lets it go on,',
    '+ and - set its speed, [ and ] go ten seconds back and on, { and } five minutes. No database is asked.',
  ].join('\n'),
  flags: {},
  inputs: 1,
  ownsTerminal: true,
  examples: ['trace-console --record incident.jsonl', 'trace-console replay incident.jsonl'],
  async run({ input, interactive, settings }) {
    const [file] = input;
    if (file === undefined) {
      throw new ConsoleError('usage', 'Which recording? Give its file.', {
        hint: 'trace-console --record FILE makes one.',
      });
    }
    const recording = Recording.open(file);
    if (!interactive) {
      throw new ConsoleError('usage', 'A replay needs a terminal.', {
        hint: 'The file is one line of JSON a change, for scripts.',
      });
    }
    const { openReplay } = await import('../../ui/open-console.js');
    const { theme, keys } = settings;
    return (await openReplay(recording, theme, { keys })) as ExitCode;
  },
});
