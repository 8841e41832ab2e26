import { ConsoleError, exitCodes } from '../../db/errors.js';
import { Fleet } from '../../live/fleet.js';
import { fleetColumns, fleetRows } from '../../live/fleet-rows.js';
import { defineCommand } from '../command.js';
import { safeJson } from '../safe-text.js';
import { paneTable } from '../plain-table.js';

export const command = defineCommand({
  name: 'fleet',
  summary: 'ask every connection of the config file, and print a line each',
  usage: '[--json]',
  description: [
    'State, traces and failures a minute (of the last five), size, oldest trace beside the retention',
    'policy, and how far a standby is behind. All are asked side by side; one that does not answer in 5 s is',
    'down, with the reason. Exit code 1: at least one did not answer. With --json: an array of rows.',
  ].join('\n'),
  flags: {},
  examples: ['trace-console fleet', 'trace-console fleet --json'],
  async run({ flags, print, connections }) {
    const named = connections().filter(({ badge }) => badge !== undefined);
    if (named.length === 0) {
      throw new ConsoleError('usage', 'The config file names no connection.', {
        hint: 'docs/configuration.md says how: [connections.NAME]',
      });
    }
    const fleet = new Fleet(named);
    const members = await fleet.readOnce();
    fleet.stop();
    const nowMs = Date.now();
    // Nothing is marked as old: each database was read once, although some answered later.
    const rows = members.flatMap((each) => fleetRows([each], each.readAtMs ?? nowMs));
    if (flags.json) print(safeJson(rows.map(rowOf), 2));
    else print(paneTable({ columns: fleetColumns }, rows, { nowMs }));
    return rows.some(({ figures }) => figures === undefined) ? exitCodes.notGood : exitCodes.good;
  },
});

function rowOf({ name, state, problem, figures, error }: ReturnType<typeof fleetRows>[number]) {
  const failure = error && { code: error.code, message: error.message, hint: error.hint };
  return { name, state, problem: problem || null, ...figures, error: failure ?? null };
}
