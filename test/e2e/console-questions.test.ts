import { beforeAll, describe, expect, it } from 'vitest';
import { panes } from '../../src/panes/registry.js';
import { runCli } from '../helpers/cli.js';
import { boxOf, startConsole } from './helpers/console.js';
import { isFilled } from './helpers/filled.js';
import {
  block,
  commands,
  named,
  pastMoment,
  plantAnswers,
  questions,
  spare,
  type Planted,
} from './helpers/questions.js';
import { type Json, readings, type Shown } from './helpers/script-answers.js';
import type { TerminalDriver } from './helpers/terminal.js';

/** How many keys each question may take. */
const limits: Readonly<Record<string, number>> = {
  'Why did this trace fail, and what slowed it?': 4,
  'Were there traces like this one?': 3,
  'Which sessions failed in the hour?': 3,
  '… and why that one?': 3,
  'Which prompts fail?': 3,
  'What failed in agent X?': 4,
  'What does agent X do now, the last ten minutes?': 4,
  'Which Bash hooks fail, live?': 4,
  'Which agent got slower since yesterday?': 4,
  'Which agent fails more since yesterday?': 4,
  'What did the deployment change?': 4,
  'Tokens and money by model?': 3,
  'Tokens and money by project?': 3,
  'Tokens and money by agent?': 3,
  'Which indexes can be dropped safely?': 3,
  'How large will it be in a month?': 2,
  'Who blocks whom? End it': 5,
};

let planted: Planted;
let driver: TerminalDriver;

beforeAll(async () => {
  planted = await plantAnswers();
  const { url } = planted.database;
  driver = startConsole(url, { cols: 160, rows: 40, env: { TZ: 'UTC' }, isShared: true });
  await driver.waitFor(isFilled, 30_000);
});

const isOpen = (heading: RegExp) => (lines: readonly string[]) =>
  lines.some((line) => line.startsWith('┏') && heading.test(line)) &&
  !lines.some((line) => line.includes('asking …'));

const inTrace = isOpen(/Trace [0-9a-f]{8}-/);

const inTraceText = /Trace [0-9a-f]{8}-/;

/** The rows of the box with this title, below its heading. */
function rowsOf(title: string): string[] {
  const lines = boxOf(driver.screen(), title);
  return lines.slice(lines.findIndex((line) => /^(agent|index|group|hook) /.test(line)) + 1);
}

const sees =
  (...shown: readonly (string | RegExp)[]) =>
  async () => {
    for (const each of shown) await driver.waitFor(each);
  };

type Answer = {
  /** What is waited for before the next key, by the number of the keys that were pressed. */
  before?: Readonly<Record<number, Parameters<TerminalDriver['waitFor']>[0]>>;
  answer: () => Promise<void>;
};

/** What the screen must say, to each question of the document. */
const answers: Readonly<Record<string, Answer>> = {
  'Why did this trace fail, and what slowed it?': {
    answer: sees(/failed: PreToolUse guard-of-agent-deploy \(Bash\): Denied/, /slowest: /),
  },
  'What slowed it, all of it in order?': { answer: sees('slowest first') },
  'Were there traces like this one?': {
    before: { 2: inTrace },
    answer: sees(/Traces like this one, by embedding/, /100% .*deploy the service to host \d/),
  },
  'Why did the newest failed trace fail?': {
    before: { 2: isOpen(/Traces/) },
    answer: sees(inTraceText, /failed: .*Denied/),
  },
  'Which sessions failed in the hour?': {
    answer: sees(/Prompts by session/, /^┃ [0-9a-f]{8}-\S+ +\d+ +\d+ +\d+% .*DeployFailed/m),
  },
  '… and why that one?': {
    before: { 1: isOpen(/Prompts: [0-9a-f]{8}-/) },
    answer: sees(inTraceText, /failed: .*Denied/),
  },
  'Which prompts fail?': { answer: sees(/deploy the service to host +3\d +3\d +100%/) },
  'What failed in agent X?': {
    answer: sees(/31 failed in 1h|31 in 1h/, /DeployFailed: no quota .*deploy the service to host/),
  },
  'What does agent X do now, the last ten minutes?': {
    answer: sees(/6 Activity \/agent:"agent-deploy" 242 found/),
  },
  'Which Bash hooks fail, live?': {
    answer: sees(/6 Activity \/kind:hook status:failed tool:Bash 33 found/),
  },
  'Which agent got slower since yesterday?': {
    answer: () => driver.waitFor(() => /^agent-deploy .*\+\d+% /.test(rowsOf('7 Agents')[0] ?? '')),
  },
  'Which agent fails more since yesterday?': {
    async answer() {
      await driver.waitFor('beside the window before');
      await driver.waitFor(() =>
        /^agent-deploy +120 +60 +\+100% +31 +1 +26% +1\.7% +\+24%/.test(
          rowsOf('7 Agents')[0] ?? '',
        ),
      );
      driver.press('B');
      await driver.waitFor((lines) => !lines.join().includes('beside the window before'));
    },
  },
  'What did the deployment change?': {
    answer: sees(
      /worse +Agents +agent-deploy +failing +1\.7% +50% +\+48 points +60 → 60 +95%: \+\d+ to \+\d+ points/,
      /worse +Agents +agent-deploy +p95 +\d/,
    ),
  },
  'Tokens and money by model?': { answer: byCost('by model', 'model-of-') },
  'Tokens and money by project?': { answer: byCost('by project', 'project-of-') },
  'Tokens and money by agent?': { answer: byCost('by agent', '') },
  'Which hook is slow everywhere, where was it worst?': {
    before: { 2: '┏━ 2 Slow hooks', 3: isOpen(/Calls: guard-of-agent-deploy/) },
    answer: sees(inTraceText, /guard-of-agent-deploy/),
  },
  'Which endpoint fails, and in which traces?': {
    before: { 2: /payments +POST/, 3: isOpen(/Calls of POST http:\/\/payments/) },
    answer: sees(inTraceText, /payments/),
  },
  'What failed yesterday at that time?': {
    answer: sees(`at ${pastMoment}`, /DeployFailed +2 /),
  },
  'Which indexes can be dropped safely?': {
    answer: () => driver.waitFor(() => rowsOf('3 Index usage')[0]?.startsWith(spare) === true),
  },
  'How large will it be in a month?': { answer: sees(/in 30 days · \+1\.0 MB a day over 2d/) },
  'Is the database healthy?': { answer: sees(/┏━ Doctor /, /stuck/) },
  'What did the console run on my server?': { answer: sees('Statements that were run') },
  'Which traces are stuck? Close them': {
    before: { 1: isOpen(/Stuck traces/), 2: '[ Cancel ]' },
    async answer() {
      await driver.waitFor('Closed 2 stuck traces.');
      driver.press('\r');
    },
  },
  'Who blocks whom? End it': {
    before: { 2: (lines) => isChain(lines), 3: '[ Cancel ]' },
    async answer() {
      await driver.waitFor(/Terminated pid \d+\./);
      driver.press('\r');
    },
  },
};

/** Who blocks on top with the cursor, who waits below. */
function isChain(lines: readonly string[]): boolean {
  const at = lines.findIndex((line) => line.includes(' ● ') && line.includes('idle in'));
  return at > 0 && (lines[at + 1] ?? '').includes(' └─ ');
}

function byCost(title: string, prefix: string) {
  return async () => {
    await driver.waitFor(`┏━ Usage · ${title}`);
    await driver.waitFor(() => {
      const [first = '', second = ''] = rowsOf('Usage');
      return (
        new RegExp(`^${prefix}agent-deploy .*120k .*12,000 .*\\$60`).test(first) &&
        new RegExp(`^${prefix}agent-steady .*\\$30`).test(second)
      );
    });
  };
}

/** Back to how the console opens: the overview, the last hour, now. */
async function home(): Promise<void> {
  driver.press(':at now\r');
  driver.press(':recent-traces\r');
  await driver.waitFor('┏━ 1 Recent traces');
  driver.press(':window 1h\r');
  await driver.waitFor((lines) => /^window 1h {2}/.test(lines[1] ?? ''));
}

/** What somebody else has pressed in the pane that a recipe leads to: another order, the other way round, another row. */
async function disturb(keys: readonly string[]): Promise<void> {
  const named = keys.map((key) => /^:([a-z-]+) [a-z]/.exec(key)?.[1]);
  for (const { id, comparison } of panes.filter((pane) => named.includes(pane.id))) {
    driver.press(`:${id}\r`);
    driver.press(comparison ? 'BssSj' : 'ssSj');
  }
  driver.press('/nothing has this name\r');
  await driver.waitFor('nothing has this name');
}

/** What a script is told, when it asks by the commands of the document. */
async function askByCommands(asked: string): Promise<Shown> {
  let found: { id?: string; name?: string } = {};
  let json: Json | undefined;
  for (const line of commands.get(asked) ?? []) {
    const words = line
      .split(' ')
      .map((word) => named(word.replaceAll("'", ''), asked, planted, found));
    const { stdout, stderr } = await runCli([...words, '--url', planted.database.url], {
      env: { TZ: 'UTC' },
    });
    expect(stderr).toBe('');
    json = JSON.parse(stdout) as Json;
    found = foundBy(json);
  }
  return json ? (readings[asked]?.(json) ?? []) : [];
}

/** What the next command of a question takes: the first trace or session, the hook or service that fails most. */
function foundBy({ traces, groups, panes }: Partial<Json>): { id?: string; name?: string } {
  const [trace] = traces ?? [];
  const [group] = groups ?? [];
  const id = trace?.correlation_id ?? group?.group;
  const [row] = Object.values(panes ?? {})
    .flatMap(({ rows }) => rows)
    .toSorted((a, b) => Number(b.failures) - Number(a.failures));
  const name = row?.hook ?? row?.service;
  return {
    ...(typeof id === 'string' ? { id } : {}),
    ...(typeof name === 'string' ? { name } : {}),
  };
}

/** Asked of a console only: it is about the console itself. */
const withoutCommand = ['What did the console run on my server?'];

describe('a question of docs/finding.md', () => {
  it('is each that must be answered, in as many keys as it may take, and has an answer here', () => {
    const most = new Map(questions.map((each) => [each.asked, each.most]));
    for (const [asked, limit] of Object.entries(limits)) {
      expect(most.get(asked) ?? Infinity, asked).toBeLessThanOrEqual(limit);
    }
    expect(questions.map(({ asked }) => asked).toSorted()).toEqual(Object.keys(answers).toSorted());
    const asScript = [...commands.keys()];
    expect([...asScript, ...withoutCommand].toSorted()).toEqual(Object.keys(answers).toSorted());
    expect(asScript.toSorted()).toEqual(Object.keys(readings).toSorted());
  });

  it.each(questions)(
    'is answered by the screen, and the same by commands: $asked',
    async ({ asked, most, keys }) => {
      const isOneKey = (key: string) => key === 'Enter' || key.length === 1 || key.startsWith(':');
      expect(keys.filter((key) => !isOneKey(key))).toEqual([]);
      expect(keys.length).toBeLessThanOrEqual(most);
      const { before = {}, answer } = answers[asked] ?? {
        answer: () => Promise.reject(new Error()),
      };
      const isOfPane = keys.some((key) => panes.some(({ id }) => key.startsWith(`:${id} `)));
      if (isOfPane && !keys.some((key) => key.startsWith(':activity'))) await disturb(keys);
      if (!asked.startsWith('…')) await home();
      if (asked.startsWith('Who blocks')) await block(planted);
      // What the keys close or end is there while the commands ask.
      const told = await askByCommands(asked);
      for (const [at, key] of keys.entries()) {
        const shown = before[at];
        if (shown) await driver.waitFor(shown);
        driver.press(key === 'Enter' ? '\r' : named(key, asked, planted));
      }
      for (const each of told) await driver.waitFor(each);
      await answer();
    },
  );
});
