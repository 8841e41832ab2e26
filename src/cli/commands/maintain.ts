import { ConsoleError, exitCodes } from '../../db/errors.js';
import { previewAction, runAction } from '../../maintenance/registry.js';
import { defineCommand } from '../command.js';
import { drain, previewLines } from '../run-action.js';
import { safeJson, safeText } from '../safe-text.js';

export const maintain = defineCommand({
  name: 'maintain',
  summary: 'carry out the stored retention policy once, for cron',
  usage: '--once [--any-time] [--dry-run] [--json]',
  description: [
    'Archives and deletes what the stored policy says (maintain policy set), each step with its entry in',
    'the journal. It asks nothing: the policy is the consent. Outside the policy’s time of day it does',
    'nothing, and it stops when that ends. One at a time: exit code 4 while another one is at it.',
    'Exit code 0 when all was done or nothing was due, 1 when a step failed.',
    '',
    'With --json: {"ok", "steps": [{"action", "state", "summary", "result"}]};',
    'state: done, nothing, cancelled or failed.',
  ].join('\n'),
  flags: {
    once: { type: 'boolean', description: 'carry the policy out now, once' },
    anyTime: { type: 'boolean', description: 'also outside the policy’s time of day' },
    dryRun: { type: 'boolean', description: 'show what would be done, and change nothing' },
  },
  examples: [
    'trace-console maintain --once --dry-run',
    '17 2 * * *  trace-console maintain --once --env-file /etc/trace-console.env   # crontab',
  ],
  async run({ flags, openDatabase, print, note, signal }) {
    if (!flags.once) {
      throw new ConsoleError('usage', 'maintain works through the policy once: say --once.', {
        hint: 'trace-console maintain policy shows the policy; --dry-run what is due.',
      });
    }
    const context = { database: await openDatabase(), signal };
    const input = { anyTime: flags.anyTime };
    const preview = await previewAction('maintain', context, input);
    if (!flags.json) for (const line of previewLines(preview)) print(safeText(line));
    if (flags.dryRun || preview.nothing !== undefined) {
      const plan = flags.dryRun ? { dryRun: true, ...preview } : { ok: true, steps: [] };
      if (flags.json) print(safeJson(plan, 2));
      return exitCodes.good;
    }
    const { summary, result } = await drain(runAction('maintain', context, input), note);
    print(flags.json ? safeJson(result, 2) : safeText(summary));
    return result.ok ? exitCodes.good : exitCodes.notGood;
  },
});
