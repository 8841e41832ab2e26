import { appendFileSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LiveEngine } from '../../../src/live/engine.js';
import { Player } from '../../../src/live/recording/player.js';
import { Recorder, Recording } from '../../../src/live/recording/recording.js';
import type { LiveState } from '../../../src/live/state.js';
import { drawHeader } from '../../../src/ui/draw/header.js';
import { createTestDatabase } from '../../helpers/database.js';
import { openDatabase } from '../../panes/open.js';
import { FakeClock } from '../fake-clock.js';

const place = { database: 'traces', host: 'db.example', user: 'ops' };
const newFile = () => join(mkdtempSync(join(tmpdir(), 'trace-console-recording-')), 'a.jsonl');

const headerLine = JSON.stringify({
  format: 'trace-console recording 1',
  console: '0.1.0',
  startedAt: '2026-11-26T12:00:00Z',
  place,
});

function started(state: LiveState): number {
  const rows = state.panes['recent-traces'].rows as { count: number }[];
  return rows.reduce((sum, { count }) => sum + count, 0);
}

/** A live engine on a real database, recorded while traces come in one by one. */
async function recordTraces(count: number): Promise<string> {
  const database = await createTestDatabase();
  const engine = new LiveEngine(await openDatabase(database.url), { cadenceMs: 200, share: 1 });
  onTestFinished(() => engine.stop());
  engine.start();
  const file = newFile();
  const recorder = new Recorder(file, place);
  recorder.follow(engine);
  for (let done = 1; done <= count; done += 1) {
    await database.query(
      `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, prompt_text)
       VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'test', $1)`,
      [`prompt ${done}`],
    );
    const recorded = () => {
      const recording = Recording.open(file);
      const { state } = recording.moment(recording.length - 1);
      return [started(state), state.panes.activity.rows.length];
    };
    await expect.poll(recorded, { timeout: 50_000, interval: 100 }).toEqual([done, done]);
  }
  recorder.close();
  return file;
}

describe('a recording', () => {
  it('of the demo says so from its first frame on, whatever was written by then', async () => {
    const database = await createTestDatabase();
    const source = await openDatabase(database.url);
    const engine = new LiveEngine(source, { cadenceMs: 200, share: 1, isDemo: true });
    onTestFinished(() => engine.stop());
    const file = newFile();
    const recorder = new Recorder(file, place);
    recorder.follow(engine);
    engine.start();
    await expect
      .poll(() => engine.getState().connection.state, { timeout: 50_000 })
      .toBe('connected');
    await expect.poll(() => Recording.open(file).length, { timeout: 50_000 }).toBeGreaterThan(2);
    recorder.close();
    const recording = Recording.open(file);
    for (let at = 0; at < recording.length; at += 1) {
      expect(recording.moment(at).state.holdsDemo).toBe(true);
    }
    const header = drawHeader(
      {
        place: { ...place, origin: 'recording', readOnly: false, connection: undefined },
        ...{ connecting: '', nowMs: 0, recording: undefined, alerts: [] },
        live: recording.moment(0).state,
        replay: { wallMs: Date.now(), share: 0, speed: 1, ended: false },
      },
      160,
    );
    expect(header.map((line) => line.map(({ text }) => text).join('')).join()).toContain(' DEMO ');
  });

  it('plays what was seen, forwards and back, without a database', async () => {
    const file = await recordTraces(3);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const recording = Recording.open(file);
    expect(recording.header.place).toEqual(place);
    const clock = new FakeClock();
    const player = new Player(recording, clock);
    player.start();
    const seen = new Set<number>();
    player.subscribe(() => seen.add(started(player.getState())));
    for (let step = 0; step < 2_000 && !player.replay.ended; step += 1) await clock.advance(50);
    expect(player.replay).toMatchObject({ ended: true, share: 1 });
    // Listeners are told some milliseconds later.
    await clock.advance(100);
    expect(started(player.getState())).toBe(3);
    expect([...seen]).toEqual(expect.arrayContaining([1, 2, 3]));
    expect(JSON.stringify(player.getState().panes.activity.rows)).toContain('prompt 3');
    player.seek(-3_600_000);
    expect(player.replay.share).toBe(0);
    expect(started(player.getState())).toBeLessThan(3);
    await player.stop();
  });

  it('stands still when paused, and goes faster when asked', async () => {
    const file = await recordTraces(2);
    const clock = new FakeClock();
    const player = new Player(Recording.open(file), clock);
    player.start();
    player.setPaused(true);
    const { wallMs } = player.replay;
    await clock.advance(60_000);
    expect(player.replay.wallMs).toBe(wallMs);
    expect(player.getState().paused).toBe(true);
    player.setPaused(false);
    player.setSpeed(300);
    await clock.advance(5_000);
    expect(player.replay.ended).toBe(true);
    await player.stop();
  });

  it('that a crash cut off plays up to there', async () => {
    const file = await recordTraces(1);
    appendFileSync(file, '{"at":1e9,"wall":1,"panes":{"recent-tr');
    const recording = Recording.open(file);
    const { state } = recording.moment(recording.length - 1);
    expect(started(state)).toBe(1);
  });

  it('never overwrites a file', () => {
    const file = newFile();
    writeFileSync(file, 'mine');
    expect(() => new Recorder(file, place)).toThrow('exists');
    expect(readFileSync(file, 'utf8')).toBe('mine');
  });

  it.each([
    ['hello\n', 'is no recording'],
    ['{"format":"trace-console recording 1"}\n', 'is no recording'],
    [`${headerLine}\n`, 'is empty'],
    [`${headerLine}\nx\n{}\n`, 'line 2 is damaged'],
  ])('is refused where it is none: %j', (text, message) => {
    const file = newFile();
    writeFileSync(file, text);
    expect(() => Recording.open(file)).toThrow(message);
  });
});
