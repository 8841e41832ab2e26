import { beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../helpers/cli.js';
import { block, commands, named, plantAnswers, spare, type Planted } from './helpers/questions.js';

let planted: Planted;

beforeAll(async () => {
  planted = await plantAnswers();
});

type Json = Record<string, never> & {
  groups: Record<string, unknown>[];
  traces: (Record<string, unknown> & { alike?: number })[];
  panes: Record<string, Record<string, unknown> & { rows: Record<string, unknown>[] }>;
  events: Record<string, unknown>[];
  changes: Record<string, unknown>[];
};

const rowOf = (rows: readonly Record<string, unknown>[], value: string) =>
  rows.find((row) => Object.values(row).includes(value)) ?? {};

const figure = (row: Record<string, unknown>, name: string) => Number(row[name]);

/** What the JSON must say. */
const readings: Readonly<Record<string, (json: Json) => void>> = {
  'Why did this trace fail, and what slowed it?'({ events }) {
    const failed = events.filter(({ outcome }) => outcome === 'failed');
    expect(failed.map(({ text }) => text)).toContainEqual(expect.stringContaining('Denied'));
    const most = events.toSorted((a, b) => figure(b, 'ownMs') - figure(a, 'ownMs'))[0] ?? {};
    expect(figure(most, 'ownMs')).toBeGreaterThan(1_000);
  },
  'Were there traces like this one?'({ traces }) {
    const [first, ...others] = traces;
    expect(first).toMatchObject({ prompt: expect.stringMatching(/^deploy the service/) as string });
    expect(first?.alike).toBeCloseTo(1);
    expect(others.at(-1)?.alike ?? 1).toBeLessThan(0.9);
  },
  'Which sessions failed in the hour?'({ traces }) {
    const failed = traces.filter(({ project }) => project === 'project-of-agent-deploy');
    expect(new Set(failed.map((row) => row.session_id)).size).toBe(5);
    expect(failed.every(({ status }) => status === 'failed')).toBe(true);
  },
  'Which prompts fail?'({ groups }) {
    expect(groups[0]).toMatchObject({
      group: 'deploy the service to host',
      prompts: 33,
      failures: 33,
      rate: 1,
      error: expect.stringMatching(/^DeployFailed: no quota for host/) as string,
      example: expect.stringMatching(/^deploy the service to host/) as string,
    });
  },
  'What failed in agent X?'({ traces }) {
    expect(traces).toHaveLength(31);
    expect(traces[0]).toMatchObject({
      error_type: 'DeployFailed',
      prompt: 'deploy the service to host 1',
    });
  },
  'What does agent X do now, the last ten minutes?'({ traces }) {
    expect(traces).toHaveLength(50);
    expect(traces.every(({ project }) => project === 'project-of-agent-deploy')).toBe(true);
  },
  'Which Bash hooks fail?'({ panes }) {
    const failing = (panes['slow-hooks']?.rows ?? []).filter((row) => figure(row, 'failures') > 0);
    expect(failing.map(({ hook, tool, failures }) => [hook, tool, failures])).toEqual([
      ['guard-of-agent-deploy', 'Bash', 31],
      ['guard-of-agent-steady', 'Bash', 2],
    ]);
  },
  'Which agent got slower, which fails more?'({ panes }) {
    const row = rowOf(panes.agents?.rows ?? [], 'agent-deploy');
    expect(figure(row, 'p95Ms')).toBeGreaterThan(3 * figure(row, 'p95BeforeMs'));
    expect(row).toMatchObject({ failures: 31, failuresBefore: 1 });
  },
  'What did the deployment change?'({ changes }) {
    expect(changes).toContainEqual(
      expect.objectContaining({ verdict: 'worse', row: 'agent-deploy', figure: 'failing' }),
    );
  },
  'Tokens and money by model?': (json) => expectCosts(json, 'model-of-'),
  'Tokens and money by project?': (json) => expectCosts(json, 'project-of-'),
  'Tokens and money by agent?': (json) => expectCosts(json, ''),
  'Which indexes can be dropped safely?'({ panes }) {
    const row = rowOf(panes['index-usage']?.rows ?? [], spare);
    expect(JSON.stringify(row)).toContain('idx_execution_traces_session');
  },
  'How large will it be in a month?'({ panes }) {
    const { bytesPerDay, bytesIn30Days } = { ...panes['table-sizes'] };
    expect(Number(bytesPerDay)).toBeCloseTo(2 ** 20, -5);
    expect(Number(bytesIn30Days)).toBeGreaterThan(30 * 2 ** 20);
  },
  'Who blocks whom?'({ panes }) {
    const rows = panes.postgresql?.rows ?? [];
    const [by, waits] = [rowOf(rows, 'billing'), rowOf(rows, 'reports')];
    expect(by).toMatchObject({ blocks: 1, blockedBy: [] });
    expect(waits.blockedBy).toEqual([by.pid]);
  },
};

function expectCosts({ panes }: Json, prefix: string): void {
  const rows = panes.usage?.rows ?? [];
  expect(rowOf(rows, `${prefix}agent-deploy`)).toMatchObject({ costUsd: 60, inputTokens: 120_000 });
  expect(rowOf(rows, `${prefix}agent-steady`)).toMatchObject({ costUsd: 30, outputTokens: 12_000 });
}

describe('without a terminal', () => {
  it('every command of the document has its check here', () => {
    expect(commands.map(({ asked }) => asked).toSorted()).toEqual(Object.keys(readings).toSorted());
  });

  it.each(commands)('is answered as JSON: $asked', async ({ asked, line }) => {
    if (asked.startsWith('Who blocks')) await block(planted);
    const words = line.split(' ').map((word) => named(word, asked, planted));
    const { stdout, stderr } = await runCli([...words, '--url', planted.database.url], {
      env: { TZ: 'UTC' },
    });
    expect(stderr).toBe('');
    readings[asked]?.(JSON.parse(stdout) as Json);
  });
});
