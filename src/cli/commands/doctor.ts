import { exitCodes } from '../../db/errors.js';
import {
  checkById,
  checks,
  checkLimits,
  isHealthy,
  runChecks,
  type CheckResult,
} from '../../maintenance/doctor/checks.js';
import type { CommandTarget } from '../../db/connection/command-flags.js';
import { printedCommand, severities } from '../../maintenance/doctor/check.js';
import { displayWidth, wrapText } from '../../terminal/width.js';
import { defineCommand } from '../command.js';
import { plainTable } from '../plain-table.js';
import { reportWidth, safeJson, safeText, shellLines } from '../safe-text.js';

export const command = defineCommand({
  name: 'doctor',
  summary: 'look for what is wrong with the database, and say how to fix it',
  usage: '[--check ID …] [--json]',
  description: [
    'Reads catalogues and statistics only, and changes nothing. Exit code 0 when nothing worse than',
    'advice was found, 1 otherwise. A check that cannot run here is skipped and says why.',
    '',
    'With --json: {"ok", "checks": [{"id", "title", "severity", "evidence", "items", "fix", "command"}]};',
    `severity: ${severities.join(', ')}. A command is one line for the shell, with its connection but no password.`,
    '',
    ...wrapText(`Checks: ${checks.map(({ id }) => id).join(', ')}.`, 100),
  ].join('\n'),
  flags: {
    check: {
      type: 'string',
      value: 'ID',
      multiple: true,
      description: 'only this check; repeatable',
    },
  },
  examples: [
    'trace-console doctor',
    'trace-console doctor --json | jq -r \'.checks[] | select(.severity == "warning").command\'',
  ],
  async run({ flags, openDatabase, print }) {
    const chosen = flags.check.length > 0 ? flags.check.map((id) => checkById(id)) : checks;
    const database = await openDatabase();
    const results = await runChecks(
      {
        capabilities: database.capabilities,
        database,
        transaction: (work) => database.transaction(checkLimits, work),
      },
      chosen,
    );
    const ok = isHealthy(results);
    if (flags.json) {
      print(safeJson({ ok, checks: results.map((result) => toJson(result, database)) }, 2));
    } else {
      for (const line of reportLines(results, database)) print(line);
    }
    return ok ? exitCodes.good : exitCodes.notGood;
  },
});

function toJson(result: CheckResult, target: CommandTarget) {
  const { id, title, severity, evidence, items, fix } = result;
  return { id, title, severity, evidence, items, fix, command: commandOf(result, target) };
}

const widths = { severity: 8, least: 40, most: 140, usual: 120 };

/** A table whose last column is wrapped, what was found, and below it how to fix it; where there is no room a list. */
function reportLines(results: readonly CheckResult[], target: CommandTarget): string[] {
  const columns = reportWidth();
  const title = Math.max(5, ...results.map((result) => result.title.length));
  const room = Math.min(widths.most, columns ?? widths.usual) - widths.severity - title - 2 * 3;
  const cells = results.map((result) => cellLines(result, target, Math.max(widths.least, room)));
  const widest = Math.max(0, ...cells.flat().map(displayWidth));
  const isTable = columns === undefined || (room >= widths.least && widest <= room);
  const counts = severities.flatMap((severity) => {
    const count = results.filter((result) => result.severity === severity).length;
    return count > 0 ? [`${count} ${severity}`] : [];
  });
  return [
    isTable
      ? tableOf(results, cells)
      : results.map((result) => listed(result, target, columns).join('\n')).join('\n\n'),
    '',
    `${counts.join(', ')}.`,
  ];
}

function tableOf(results: readonly CheckResult[], cells: readonly (readonly string[])[]): string {
  return plainTable(
    ['Severity', 'Check', 'Evidence'],
    results.map(({ severity, title }, index) => [severity, title, (cells[index] ?? []).join('\n')]),
    { whole: [1, 2] },
  );
}

/** A command is not wrapped, so that it can be copied: one line for the shell. */
function cellLines(result: CheckResult, target: CommandTarget, room: number): string[] {
  const command = commandOf(result, target);
  return [...foundLines(result, room), ...(command === null ? [] : [`  ${safeText(command)}`])];
}

/** The command begins at the left, in lines that a shell reads as one. */
function listed(result: CheckResult, target: CommandTarget, columns: number): string[] {
  const command = commandOf(result, target);
  const head = `${result.severity.padEnd(widths.severity)}  ${result.title}`;
  const indent = ' '.repeat(widths.severity + 2);
  return [
    head,
    ...foundLines(result, columns - indent.length).map((line) => indent + line),
    ...(command === null ? [] : shellLines(safeText(command), columns)),
  ];
}

function foundLines({ evidence, fix }: CheckResult, room: number): string[] {
  return [
    ...wrapText(safeText(evidence), room),
    ...(fix === null ? [] : wrapText(`→ ${fix}`, room)),
  ];
}

function commandOf({ commands }: CheckResult, target: CommandTarget): string | null {
  return commands.length === 0 ? null : printedCommand(commands, target);
}
