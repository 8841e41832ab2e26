import { expect } from 'vitest';
import { formatBytes, formatCount, formatShare } from '../../../src/core/format/number.js';
import { formatDuration } from '../../../src/core/format/time.js';
import { spare } from './questions.js';
import type { ScreenDriver } from './terminal.js';

type Row = Record<string, unknown>;

export type Json = Record<string, never> & {
  groups: Row[];
  total: number;
  traces: (Row & { alike?: number })[];
  panes: Record<string, Row & { rows: Row[] }>;
  events: Row[];
  changes: Row[];
  checks: Row[];
  list: string[];
};

export type Shown = readonly Parameters<ScreenDriver['waitFor']>[0][];

const rowOf = (rows: readonly Row[], value: string) =>
  rows.find((row) => Object.values(row).includes(value)) ?? {};
const rowsOf = ({ panes }: Json, pane: string) => panes[pane]?.rows ?? [];
const figure = (row: Row | undefined, name: string) => Number(row?.[name]);
const text = (row: Row | undefined, name: string) => String(row?.[name]);
const inText = (words: string) => words.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');

const byOwnTime = ({ events }: Json) =>
  events.toSorted((a, b) => figure(b, 'ownMs') - figure(a, 'ownMs'));

function whyFailed(json: Json): Shown {
  const failed = json.events.filter(({ outcome }) => outcome === 'failed');
  expect(failed.map((event) => event.text)).toContainEqual(expect.stringContaining('Denied'));
  const [most] = byOwnTime(json);
  expect(figure(most, 'ownMs')).toBeGreaterThan(400);
  return [
    /failed: PreToolUse guard-of-agent-\w+ \(Bash\): Denied/,
    new RegExp(`slowest: .*${inText(formatDuration(figure(most, 'ownMs')))}`),
  ];
}

/** What the JSON of the last command must say, and what of it must stand on the screen. */
export const readings: Readonly<Record<string, (json: Json) => Shown>> = {
  'Why did this trace fail, and what slowed it?': whyFailed,
  'What slowed it, all of it in order?'(json) {
    const own = byOwnTime(json)
      .map((event) => figure(event, 'ownMs'))
      .filter((ms) => ms > 0)
      .slice(0, 3);
    expect(own.length).toBeGreaterThan(1);
    return [new RegExp(own.map((ms) => inText(formatDuration(ms))).join('[^]*'))];
  },
  'Were there traces like this one?'({ traces }) {
    const [first, ...others] = traces;
    expect(first?.alike).toBeCloseTo(1);
    expect(others.at(-1)?.alike ?? 1).toBeLessThan(0.9);
    expect(text(first, 'prompt')).toMatch(/^deploy the service/);
    return [new RegExp(`100% .*${text(first, 'prompt')}`)];
  },
  'Why did the newest failed trace fail?': whyFailed,
  'Which sessions failed in the hour?'({ groups }) {
    expect(groups).toHaveLength(7);
    return groups.map(
      (row) =>
        new RegExp(
          `${text(row, 'group')} +${figure(row, 'prompts')} +${figure(row, 'failures')} +${formatShare(figure(row, 'rate'))}`,
        ),
    );
  },
  '… and why that one?': whyFailed,
  'Which prompts fail?'({ groups: [first] }) {
    expect(first).toMatchObject({
      group: 'deploy the service to host',
      rate: 1,
      error: expect.stringMatching(/^DeployFailed: no quota for host/) as string,
      example: expect.stringMatching(/^deploy the service to host/) as string,
    });
    return [
      new RegExp(
        `deploy the service to host +${figure(first, 'prompts')} +${figure(first, 'failures')} +100%`,
      ),
    ];
  },
  'What failed in agent X?'({ traces, total }) {
    expect(traces).toHaveLength(31);
    expect(traces[0]).toMatchObject({ error_type: 'DeployFailed' });
    return [`${total} in 1h`, text(traces[0], 'error_message'), text(traces[0], 'prompt')];
  },
  'What does agent X do now, the last ten minutes?'({ traces, total }) {
    expect(total).toBe(60);
    expect(traces.every(({ project }) => project === 'project-of-agent-deploy')).toBe(true);
    // The screen shows their newest events.
    return ['DeployFailed: deploy the serv'];
  },
  'Which Bash hooks fail, live?'(json) {
    const failing = rowsOf(json, 'slow-hooks').filter((row) => figure(row, 'failures') > 0);
    expect(failing.map(({ hook, tool }) => [hook, tool])).toEqual([
      ['guard-of-agent-deploy', 'Bash'],
      ['guard-of-agent-steady', 'Bash'],
    ]);
    const failures = failing.reduce((sum, row) => sum + figure(row, 'failures'), 0);
    return [`tool:Bash ${failures} found`];
  },
  'Which agent got slower since yesterday?'(json) {
    const row = rowOf(rowsOf(json, 'agents'), 'agent-deploy');
    const p95 = figure(row, 'p95Ms');
    expect(p95).toBeGreaterThan(3 * figure(row, 'p95BeforeMs'));
    // That of the console is off by 3.1 % at most, that of a command is exact.
    return [
      (lines) => {
        const [, seconds] = /agent-deploy .* ([\d.]+)s +\+28\d% /.exec(lines.join('\n')) ?? [];
        return Math.abs((1_000 * Number(seconds)) / p95 - 1) < 0.04;
      },
    ];
  },
  'Which agent fails more since yesterday?'(json) {
    const row = rowOf(rowsOf(json, 'agents'), 'agent-deploy');
    return [
      new RegExp(`agent-deploy .* ${figure(row, 'failures')} +${figure(row, 'failuresBefore')} `),
    ];
  },
  'What did the deployment change?'({ changes }) {
    const change = changes.find(
      ({ verdict, row, figure: what }) =>
        verdict === 'worse' && row === 'agent-deploy' && what === 'failing',
    );
    expect(change).toBeDefined();
    return [/worse +Agents +agent-deploy +failing/];
  },
  'Tokens and money by model?': costs('model-of-'),
  'Tokens and money by project?': costs('project-of-'),
  'Tokens and money by agent?': costs(''),
  'Which hook is slow everywhere, where was it worst?'({ traces: [first] }) {
    return [`Trace ${text(first, 'correlation_id')}`];
  },
  'Which endpoint fails, and in which traces?'({ traces: [first] }) {
    return [`Trace ${text(first, 'correlation_id')}`];
  },
  'What failed yesterday at that time?'(json) {
    const row = rowOf(rowsOf(json, 'errors'), 'DeployFailed');
    return [new RegExp(`DeployFailed +${figure(row, 'count')} `)];
  },
  'Which indexes can be dropped safely?'(json) {
    const row = rowOf(rowsOf(json, 'index-usage'), spare);
    expect(JSON.stringify(row)).toContain('idx_execution_traces_session');
    return [spare];
  },
  'How large will it be in a month?'({ panes }) {
    const bytes = figure(panes['table-sizes'], 'bytesIn30Days');
    expect(bytes).toBeGreaterThan(30 * 2 ** 20);
    return [`${formatBytes(bytes)} in 30 days`];
  },
  'Is the database healthy?'({ checks }) {
    const bad = checks.filter(({ severity }) => severity === 'warning');
    expect(bad.length).toBeGreaterThan(0);
    return bad.map((check) => text(check, 'title'));
  },
  'Which traces are stuck? Close them'({ list }) {
    expect(list).toHaveLength(2);
    return [`Closed ${formatCount(list.length)} stuck traces.`];
  },
  'Who blocks whom? End it'(json) {
    const rows = rowsOf(json, 'postgresql');
    const [by, waits] = [rowOf(rows, 'billing'), rowOf(rows, 'reports')];
    expect(by).toMatchObject({ blocks: 1, blockedBy: [] });
    expect(waits.blockedBy).toEqual([by.pid]);
    return [`Terminated pid ${figure(by, 'pid')}.`];
  },
};

function costs(prefix: string) {
  return (json: Json): Shown =>
    ['agent-deploy', 'agent-steady'].map((agent) => {
      const row = rowOf(rowsOf(json, 'usage'), `${prefix}${agent}`);
      return new RegExp(`${prefix}${agent} .*\\$${figure(row, 'costUsd')}`);
    });
}
