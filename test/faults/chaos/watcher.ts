import pg from 'pg';
import { formatClock } from '../../../src/core/format/time.js';
import { boxOf } from '../../e2e/helpers/console.js';
import type { TerminalDriver } from '../../e2e/helpers/terminal.js';

/** What the database held: at some moment between `from` and `until`, by this process's clock (ms). */
type Sample = {
  from: number;
  until: number;
  traces: number;
  hooks: number;
  newestMs: number;
};

const sampleStatement = `
SELECT
  (SELECT count(*) FROM execution_traces)::float8 AS traces,
  (SELECT count(*) FROM hook_executions)::float8 AS hooks,
  (SELECT 1000 * date_part('epoch', max(at)) FROM (
     SELECT max(started_at) AS at FROM execution_traces UNION ALL SELECT max(started_at) FROM hook_executions
     UNION ALL SELECT max(started_at) FROM endpoint_calls UNION ALL SELECT max(created_at) FROM agent_routing_decisions
   ) AS event) AS "newestMs"`;

/** What a screen said, and how old it may be as it said it. */
type Claim = {
  at: number;
  console: string;
  pane: string;
  text: string;
  /** The database held what is claimed, or more. */
  isReached: (sample: Sample) => boolean;
  /** It held more. */
  isPassed: (sample: Sample) => boolean;
  limitMs: number;
  isOld: boolean;
};

export type Lie = { at: string; console: string; pane: string; text: string; wrong: string };

/** A reading begins some time before it is on the screen; screens and the database are looked at a second apart. */
const slackMs = 3_000;
/** What an overview says without an age: as old as four intervals of 2 s, or as the title says, and 5 s late. */
const usualMs = 4 * 2_000;
const lateMs = 5_000;
/** How soon a key has to show, on a machine that is busy with everything else. */
const hangMs = 10_000;

/** Compares once a second what consoles show with what the database holds, and whether they take keys. */
export class Watcher {
  readonly #consoles: ReadonlyMap<string, TerminalDriver>;
  readonly #url: () => string;
  readonly #samples: Sample[] = [];
  readonly #claims: Claim[] = [];
  readonly #begun = performance.now();
  readonly #done = new AbortController();
  readonly #running: Promise<void>[];
  /** Lines that tell what happened when. */
  readonly diary: string[] = [];
  /** The slowest key of each console, ms. */
  readonly slowestKeyMs = new Map<string, number>();
  readonly #connected = new Map<string, boolean>();
  #client: pg.Client | undefined;

  constructor(consoles: ReadonlyMap<string, TerminalDriver>, url: () => string) {
    this.#consoles = consoles;
    this.#url = url;
    this.#running = [
      this.#everySecond(() => this.#sample()),
      this.#everySecond(() => this.#read()),
      ...[...consoles].map(([name, driver]) => this.#type(name, driver)),
    ];
  }

  /** Seconds since it began. */
  get seconds(): number {
    return (performance.now() - this.#begun) / 1_000;
  }

  note(line: string): void {
    this.diary.push(`${this.seconds.toFixed(1).padStart(6)} ${line}`);
  }

  /** Whether a console is connected and shows nothing old. */
  isFresh(name: string): boolean {
    const lines = this.#consoles.get(name)?.screen() ?? [];
    return lines[0]?.includes('● connected') === true && !/ as of \d/.test(lines.join('\n'));
  }

  async stop(): Promise<void> {
    this.#done.abort();
    await Promise.all(this.#running);
    await this.#client?.end().catch(() => undefined);
  }

  get figures() {
    const fresh = this.#claims.filter(({ isOld }) => !isOld);
    const ages = fresh.map((claim) => this.#ageOf(claim)).sort((a, b) => a - b);
    const oldest = fresh.toSorted((a, b) => this.#ageOf(b) - this.#ageOf(a))[0];
    return {
      samples: this.#samples.length,
      claims: this.#claims.length,
      saidToBeOld: this.#claims.length - fresh.length,
      oldestFreshMs: Math.round(ages.at(-1) ?? 0),
      whichMayBeMs: oldest?.limitMs,
      medianFreshMs: Math.round(ages[Math.floor(ages.length / 2)] ?? 0),
      slowestKeyMs: Object.fromEntries(this.slowestKeyMs),
    };
  }

  /** Claims that no moment within their age bears out. */
  get lies(): Lie[] {
    return this.#claims.flatMap((claim): Lie[] => {
      const { at, console, pane, text, limitMs } = claim;
      const before = this.#samples.findLast(({ until }) => until <= at - limitMs);
      const after = this.#samples.find(({ from }) => from >= at);
      const lie = (wrong: string): Lie[] => [
        { at: ((at - this.#begun) / 1_000).toFixed(1), console, pane, text, wrong },
      ];
      if (before && claim.isPassed(before)) {
        const age = Math.round(this.#ageOf(claim) / 1_000);
        return lie(`${age} s old, and ${Math.round(limitMs / 1_000)} s is what it says`);
      }
      return after && !claim.isReached(after) ? lie('the database never held that') : [];
    });
  }

  /** How long ago the database went beyond what is claimed. */
  #ageOf({ at, isPassed }: Claim): number {
    const passed = this.#samples.find((sample) => isPassed(sample));
    return passed && passed.from < at ? at - passed.from : 0;
  }

  async #everySecond(work: () => Promise<void>): Promise<void> {
    const { signal } = this.#done;
    while (!signal.aborted) {
      const next = performance.now() + 1_000;
      await work();
      await pause(next - performance.now(), signal);
    }
  }

  async #sample(): Promise<void> {
    try {
      this.#client ??= await connect(this.#url());
      const from = performance.now();
      const { rows } = await this.#client.query<Omit<Sample, 'from' | 'until'>>(sampleStatement);
      const [row] = rows;
      if (row) this.#samples.push({ ...row, from, until: performance.now() });
    } catch {
      // The server is away: nobody can add anything to it.
      await this.#client?.end().catch(() => undefined);
      this.#client = undefined;
    }
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- as the others of its kind
  async #read(): Promise<void> {
    for (const [name, driver] of this.#consoles) {
      const lines = driver.screen();
      const at = performance.now();
      const header = lines[0] ?? '';
      const connected = header.includes('● connected');
      if (this.#connected.get(name) !== connected) {
        this.note(`${name}: ${connected ? 'connected' : header.replace(/.* ○ /, '')}`);
        this.#connected.set(name, connected);
      }
      for (const claim of claimsOf(lines)) this.#claims.push({ at, console: name, ...claim });
    }
  }

  /** Moves the focus every few seconds, as somebody who looks around. */
  async #type(name: string, driver: TerminalDriver): Promise<void> {
    const { signal } = this.#done;
    const focus = () => /┏━ (\d)/.exec(driver.text())?.[1];
    while (!signal.aborted && !driver.exit) {
      const before = focus();
      const pressedAt = performance.now();
      driver.press('\t');
      while (focus() === before && performance.now() - pressedAt < hangMs) await pause(10);
      const took = Math.round(performance.now() - pressedAt);
      if (took >= hangMs) this.note(`${name}: a key did nothing for ${hangMs} ms`);
      this.slowestKeyMs.set(name, Math.max(took, this.slowestKeyMs.get(name) ?? 0));
      await pause(3_000, signal);
    }
  }

  /** Whether each key did something in time. */
  get hung(): string[] {
    return [...this.slowestKeyMs].filter(([, ms]) => ms >= hangMs).map(([name]) => name);
  }
}

type ScreenClaim = Omit<Claim, 'at' | 'console'>;

function claimsOf(lines: readonly string[]): ScreenClaim[] {
  return [
    ...counted(lines, '1 Recent traces', /([\d,.]+[kMG]?) in 1h/, ({ traces }) => traces),
    ...counted(lines, '2 Slow hooks', /([\d,.]+[kMG]?) calls in 1h/, ({ hooks }) => hooks),
    ...newest(lines),
  ];
}

function counted(
  lines: readonly string[],
  title: string,
  pattern: RegExp,
  held: (sample: Sample) => number,
): ScreenClaim[] {
  const text = pattern.exec(boxOf(lines, title).join('\n'))?.[1];
  // A window that is fetched anew after a reconnect says which share of it is there.
  if (text === undefined || borderOf(lines, title).includes(' fetching ')) return [];
  const [low, high] = rangeOf(text);
  return [
    {
      pane: title,
      text,
      isPassed: (sample) => held(sample) > high,
      isReached: (sample) => held(sample) >= low,
      ...limitOf(lines, title),
    },
  ];
}

/** The time of the newest event of the tail. */
function newest(lines: readonly string[]): ScreenClaim[] {
  const title = '6 Activity';
  const text = /^\d\d:\d\d:\d\d/.exec(boxOf(lines, title).at(-1) ?? '')?.[0];
  if (text === undefined) return [];
  // Half a day away is the same second of another day.
  const later = ({ newestMs }: Sample) => {
    const ahead = secondOfDay(formatClock(new Date(newestMs))) - secondOfDay(text);
    return ((ahead + 129_600) % 86_400) - 43_200;
  };
  return [
    {
      pane: title,
      text,
      isPassed: (sample) => later(sample) > 0,
      isReached: (sample) => later(sample) >= 0,
      ...limitOf(lines, title),
    },
  ];
}

/** How old a pane's rows may be by its own words. */
function limitOf(lines: readonly string[], title: string): { limitMs: number; isOld: boolean } {
  const border = borderOf(lines, title);
  const age = spanOf(/ as of (\d+[smh]) ago/.exec(border)?.[1]);
  // A minute is any of its seconds.
  const unit = / as of \d+m/.test(border) ? 60_000 : 1_000;
  if (age !== undefined) return { limitMs: age + unit + slackMs, isOld: true };
  const every = spanOf(/ every ([\d.]+m?s|\d+m\d+s)/.exec(border)?.[1]) ?? 0;
  return { limitMs: Math.max(usualMs, every) + lateMs + slackMs, isOld: false };
}

/** The top border of a pane's box, from its title on. */
function borderOf(lines: readonly string[], title: string): string {
  const top = lines.find((line) => line.includes(title)) ?? '';
  return top.slice(top.indexOf(title)).split(/[┐┓]/)[0] ?? '';
}

function spanOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
  return [...text.matchAll(/([\d.]+)(ms|s|m|h)/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * units[unit as keyof typeof units],
    0,
  );
}

/** The counts that are written so: `1.23M` is anything from 1,225,000 to 1,235,000. */
function rangeOf(text: string): [low: number, high: number] {
  const [, digits = '', letter = ''] = /^([\d,.]+)([kMG]?)$/.exec(text) ?? [];
  const plain = digits.replaceAll(',', '');
  const unit = { '': 1, k: 1e3, M: 1e6, G: 1e9 }[letter] ?? 1;
  if (unit === 1) return [Number(plain), Number(plain)];
  const half = (unit / 10 ** (plain.split('.')[1]?.length ?? 0)) * 0.5;
  return [Number(plain) * unit - half, Number(plain) * unit + half];
}

function secondOfDay(clock: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = clock.split(':').map(Number);
  return 3_600 * hours + 60 * minutes + seconds;
}

async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString,
    connectionTimeoutMillis: 2_000,
    query_timeout: 5_000,
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end);
  });
}
