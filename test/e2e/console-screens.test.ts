import path from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { panes } from '../../src/panes/registry.js';
import { keyMap } from '../../src/ui/keys/key-map.js';
import { createTestDatabase, type TestDatabase } from '../helpers/database.js';
import { somethingToDo } from '../maintenance/registry/something-to-do.js';
import { addTraces } from './helpers/console-rows.js';
import { ScreenPlaces } from './helpers/screen-places.js';
import { cutMarks, problemsOf } from './helpers/screen-problems.js';
import { walkTo } from './helpers/screen-walk.js';
import { screens, screenSizes, type Screen, type ScreenPlace } from './helpers/screens.js';
import type { TerminalDriver } from './helpers/terminal.js';

const long = (name: string) =>
  `${cutMarks.start}${name}-${'and-so-on-'.repeat(8)}${cutMarks.end.slice(1)}`;

/** Rows in every pane, with names that nowhere have room. */
async function fill(database: TestDatabase): Promise<void> {
  await database.query(somethingToDo);
  await addTraces(database, 12);
  await addTraces(database, 3, 'failed');
  await database.query(`
    UPDATE execution_traces SET prompt_text = '${long('prompt')}', error_type = '${long('error')}', error_message = '${long('message')}'
    WHERE status = 'failed';
    UPDATE hook_executions SET hook_name = '${long('hook')}', status = 'failed', error_type = 'Denied', error_message = '${long('refusal')}'
    WHERE tool_name = 'Bash';
    UPDATE endpoint_calls SET service_name = '${long('service')}' WHERE duration_ms IS NOT NULL;
    UPDATE agent_routing_decisions SET agent_selected = '${long('agent')}',
      confidence_breakdown = '{"${long('part')}": 0.4}', alternatives = '[{"agent": "${long('other')}", "confidence": 0.3}]' WHERE confidence_score = 0.8;
    INSERT INTO success_patterns (pattern_hash, intent_classification, prompt_text, prompt_embedding, success_count, total_usage_count)
    SELECT 'hash ' || n, '${long('intent')}', '${long('asked')}', array_fill(n::real, ARRAY[1536])::vector, 3, 3 FROM generate_series(1, 3) AS n;
    INSERT INTO agent_chaining_patterns (chain_hash, primary_agent, agent_sequence, occurrence_count)
    SELECT 'chain ' || n, '${long('first')}', ARRAY['${long('first')}', '${long('second')}'], n FROM generate_series(1, 3) AS n;
    INSERT INTO error_patterns (fingerprint, error_type, error_message_pattern) VALUES ('f', '${long('error')}', '${long('message')}');
    ANALYZE`);
}

let database: TestDatabase;
let places: ScreenPlaces;

beforeAll(async () => {
  database = await createTestDatabase();
  await fill(database);
  places = new ScreenPlaces(path.join(inject('programs'), 'main.js'), database.url);
});

afterAll(() => places.dispose());

it('every pane and every place of the key map is among the screens', () => {
  const shown = screens.flatMap(({ pane }) => pane ?? []);
  expect(shown).toEqual(panes.map(({ id }) => id));
  const opened = screens.filter(({ name }) => name.startsWith('opened-'));
  expect(opened.map(({ name }) => name)).toEqual(
    panes.filter((pane) => 'detail' in pane).map(({ id }) => `opened-${id}`),
  );
  // These two need a config file with connections: test/e2e/console-connections.test.ts.
  const elsewhere = ['connecting', 'connections'];
  expect([...new Set([...elsewhere, ...screens.map(({ scope }) => scope)])].sort()).toEqual(
    [...new Set(keyMap.flatMap(({ scopes }) => scopes))].sort(),
  );
  expect(new Set(screens.map(({ name }) => name)).size).toBe(screens.length);
});

const usual = { cols: 120, rows: 35 };

/** The screen is whole in every size, however it is resized. */
async function expectWhole(driver: TerminalDriver, screen: Screen): Promise<void> {
  for (const size of [...screenSizes, usual]) {
    driver.resize(size.cols, size.rows);
    const problems = () => problemsOf(driver, screen, size);
    await driver.waitFor(() => problems().length === 0).catch(() => undefined);
    expect(problems(), `${size.cols}×${size.rows}\n${driver.text()}`).toEqual([]);
  }
}

// One console walks to all screens of a place; where it got lost, the next screen has a new one.
let walker: { place: ScreenPlace; driver: TerminalDriver } | undefined;

it.each(screens)(
  '$name is whole in every size, and Escape leads back to the same row',
  async (screen) => {
    const { place = 'database' } = screen;
    const before = walker;
    walker = undefined;
    const driver = before?.place === place ? before.driver : await places.open(place, usual);
    const open = await walkTo(driver, screen, database.url);
    await expectWhole(driver, screen);
    expect(driver.titles).toEqual([]);
    if (screen.opens || screen.steps) expect(await open.leave()).toBe(open.rowBefore);
    walker = { place, driver };
  },
);
