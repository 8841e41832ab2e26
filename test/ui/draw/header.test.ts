import { describe, expect, it, onTestFinished } from 'vitest';
import { ConsoleError } from '../../../src/db/errors.js';
import type { LiveState } from '../../../src/live/state.js';
import { showTimesIn } from '../../../src/core/format/time.js';
import { displayWidth } from '../../../src/terminal/width.js';
import { drawHeader, type HeaderInput } from '../../../src/ui/draw/header.js';
import { textOf } from '../helpers.js';

const live = {
  panes: {},
  vitals: {
    transactionsPerSecond: 51,
    connections: 12,
    maxConnections: 200,
    waiting: 0,
    cacheHit: 0.99,
    longestTransaction: { pid: 1, ms: 3_000 },
    clockOffsetMs: 0,
  },
  connection: { state: 'connected' },
  capabilities: {
    serverVersionText: '17.11 (Debian 17.11-1)',
    extensions: { vector: { version: '0.8.0', schema: 'public' } },
    schema: 'public',
    standby: false,
  },
  paused: false,
  cadenceMs: 2_000,
  windowMs: 3_600_000,
} as unknown as LiveState;

const input: HeaderInput = {
  place: {
    database: 'omninode_bridge',
    host: 'localhost:5436',
    origin: 'DATABASE_URL',
    user: 'postgres',
    readOnly: false,
    connection: undefined,
  },
  connecting: '',
  live,
  nowMs: 60_000,
  replay: undefined,
  recording: undefined,
  alerts: [],
};

function draw(changes: Partial<HeaderInput> = {}, width = 160): string[] {
  return drawHeader({ ...input, ...changes }, width).map(textOf);
}

describe('the header', () => {
  it('says when the clock of the server is another one', () => {
    const said = (clockOffsetMs: number) => {
      const vitals = live.vitals && { ...live.vitals, clockOffsetMs };
      return draw({ live: { ...live, vitals } })[1] ?? '';
    };
    expect(said(30_000)).not.toContain('clock');
    expect(said(3 * 3_600_000)).toContain('server clock 3h00m ahead');
    expect(said(-90_000)).toContain('server clock 1m30s behind');
  });

  it('says whether what agents do comes in, what waits, and what could not be written', () => {
    const said = (collecting: LiveState['collecting']) =>
      draw({ live: { ...live, collecting } }, 200)[1] ?? '';
    const quiet = { eventAgeMs: 2_000, waitingBytes: 0, quarantined: 0 };
    expect(said(null)).not.toMatch(/collect|event/);
    expect(said({ ...quiet, state: 'following' })).toContain('collecting, last event 2s ago');
    expect(said({ ...quiet, eventAgeMs: null, state: 'following' })).toContain(
      'collecting, no event yet',
    );
    const listening = { ...quiet, state: 'following', listensOn: '127.0.0.1:4318' } as const;
    expect(said(listening)).toContain('ago  listening on 127.0.0.1:4318');
    const small = draw({ live: { ...live, collecting: listening } }, 80)[1];
    expect(small).toContain('collecting, last event 2s ago');
    expect(small).not.toContain('listening');
    expect(said({ ...quiet, state: 'ended' })).toContain('collector ended, last event 2s ago');
    const waiting = { ...quiet, waitingBytes: 120_000 };
    expect(said({ ...waiting, state: 'waiting', reason: 'no route\x1b[2J' })).toMatch(
      /collector waits: no route.*117 kB waiting/,
    );
    expect(said({ ...waiting, state: 'ended' })).toContain('no collector, 117 kB waiting');
    expect(said(quiet)).toContain('last event 2s ago');
    expect(said({ ...quiet, quarantined: 3 })).toContain('3 quarantined');
    const grown = { ...quiet, grown: { files: 3, importAgeMs: 725_000 } };
    expect(said(grown)).toContain('3 transcripts grew since the import 12m ago');
    const narrow = draw({ live: { ...live, collecting: grown }, importKey: 'i' }, 80)[1];
    expect(narrow).toContain('3 transcripts grew since the import 12m ago: i imports');
  });

  it('says at every width that this is the demo, and how far its history is', () => {
    const demo = { ...live, holdsDemo: true };
    for (const width of [60, 80, 120]) {
      const [where = '', how = ''] = draw({ live: demo, filling: 0.42 }, width);
      expect(where).toContain(' DEMO ');
      expect(how).toContain('history ████░░░░░░ 42%');
    }
    expect(draw({ live: { ...live, holdsDemo: false } }).join('')).not.toMatch(/DEMO|history/);
    const connecting = { place: undefined, live: undefined, isDemo: true };
    expect(draw(connecting, 60)[0]).toContain(' DEMO ');
  });

  it('lets nothing out of a name or an origin that a terminal would obey', () => {
    const badge = { name: 'a\x1b]0;owned\x07b', production: true, colour: 'red' } as const;
    const place = input.place && { ...input.place, origin: 'config: \x9b2Jx\x1b[2J' };
    for (const lines of [
      draw({ place: place && { ...place, connection: badge } }),
      draw({ place }),
      draw({ toward: { name: badge.name, badge } }),
      draw({ toward: { name: badge.name, badge: undefined } }),
    ]) {
      // eslint-disable-next-line no-control-regex
      expect(lines.join('')).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
      expect(lines[0]).toMatch(/ab|config: x/);
    }
  });

  it('says where it is on the way to, and nothing of where it was', () => {
    const badge = { name: 'prod', production: true, colour: 'red' } as const;
    const [where, how] = draw({ toward: { name: 'prod', badge }, connecting: '○ connecting' });
    expect(where).toMatch(/ prod · PRODUCTION .*○ connecting/);
    expect(where).not.toContain('omninode_bridge');
    expect(how?.trim()).toBe('');
  });

  it('says where this is, and how it is', () => {
    const [where, how] = draw();
    for (const part of [
      ...['postgres@omninode_bridge', 'localhost:5436', '(DATABASE_URL)', 'PostgreSQL 17.11'],
      ...['pgvector 0.8.0', '● connected'],
    ]) {
      expect(where).toContain(part);
    }
    for (const part of [
      ...['window 1h', 'every 2s', 'tps 51/s', 'connections 12/200', 'cache 99%'],
      'longest tx 3.00s',
    ]) {
      expect(how).toContain(part);
    }
  });

  it('says how often the shown panes are really asked', () => {
    const every = (...intervals: number[]) => {
      const shown = (['recent-traces', 'errors', 'doctor'] as const).slice(0, intervals.length);
      const asked = intervals.map((intervalMs) => ({ intervalMs }));
      const panes = Object.fromEntries(shown.map((id, at) => [id, asked[at]]));
      const [, how] = draw({ live: { ...live, panes: panes as LiveState['panes'] }, shown });
      return /every (.+?) {2}/.exec(how ?? '')?.[1];
    };
    expect(every()).toBe('2s');
    expect(every(2_000, 2_000)).toBe('2s');
    expect(every(2_000, 14_000, 4_000)).toBe('2s–14s');
    expect(every(8_000, 8_000)).toBe('2s, now 8s');
    expect(every(8_000, 60_000)).toBe('2s, now 8s–1m');
  });

  it('tells nothing of other sessions on the embedded engine, where all clients share one', () => {
    const capabilities = { ...live.capabilities, embedded: true };
    const [, how] = draw({ live: { ...live, capabilities } });
    expect(how).toContain('tps 51/s');
    expect(how).toContain('cache 99%');
    expect(how).not.toMatch(/connections|longest/);
  });

  it('has two lines of the screen’s width at every size, and never cuts the connection', () => {
    for (let width = 40; width <= 220; width++) {
      const lines = draw({}, width);
      expect(lines.map((line) => displayWidth(line))).toEqual([width, width]);
      expect(lines[0]).toContain('● connected');
      expect(lines[1]).toContain('window 1h');
    }
  });

  it('shows a named connection by its badge, and says when it is production', () => {
    const badge = (production: boolean) => {
      const connection = { name: 'prod', production, colour: 'red' as const };
      const place = input.place && { ...input.place, connection };
      return draw({ place }, 100)[0];
    };
    expect(badge(false)).toMatch(/^trace-console {3}prod {3}postgres@/);
    expect(badge(true)).toContain(' prod · PRODUCTION ');
    expect(badge(true)).not.toContain('(DATABASE_URL)');
  });

  it('says read-only and paused so that they are seen', () => {
    const place = input.place && { ...input.place, readOnly: true };
    expect(draw({ place }, 80)[0]).toContain(' READ-ONLY ');
    expect(draw({ live: { ...live, paused: true } }, 80)[1]).toContain(' PAUSED ');
  });

  it('shows a moment in the past at every width, and that alerts wait meanwhile', () => {
    showTimesIn('utc');
    onTestFinished(() => showTimesIn('local'));
    const past = { ...live, untilMs: Date.UTC(2026, 10, 24, 14, 5) };
    for (const width of [60, 80, 120, 200]) {
      const [first, second] = draw({ live: past, alertsPaused: true }, width);
      expect(second).toContain(' at 2026-11-24 14:05 UTC   window 1h');
      expect(first).toContain('alerts paused');
    }
  });

  it('says since when there is no connection, and when it is tried next', () => {
    const connection = {
      state: 'reconnecting',
      sinceMs: 18_000,
      attempts: 3,
      nextAttemptMs: 64_000,
      error: new ConsoleError('connection_lost', 'gone'),
    } as const;
    const [where] = draw({ live: { ...live, connection } });
    expect(where).toContain('no connection for 42s, next try in 4s (3 failed)');
  });

  it('takes control sequences out of what a server calls itself', () => {
    const place = input.place && { ...input.place, database: 'a\x1b]0;x\x07b' };
    expect(draw({ place })[0]).toContain('postgres@ab');
  });
});
