import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { csvOf, openedExport, writeNewFile } from '../../../src/panes/export/exportable.js';
import { otlpOf } from '../../../src/panes/export/otlp.js';
import { eventMade, treeMade } from '../trace/events.js';

const root = '0af76519-16cd-43dd-8448-eb211c80319c';
const startedUs = 1_767_225_600_123_456;

const tree = treeMade([
  eventMade([root, null, 0, 2_000], {
    startedUs,
    details: { input_tokens: 12, cost_usd: 0.5, prompt: '=SUM(A1), "all"\nof it' },
  }),
  eventMade(['hook', root, 500, 250], {
    kind: 'hook',
    name: 'guard',
    outcome: 'failed',
    startedUs: startedUs + 500_000,
    details: { type: 'PreToolUse', tool: 'Bash', error_type: 'Denied', error_message: 'no' },
  }),
  eventMade(['call', 'hook', 510, null], {
    kind: 'endpoint_call',
    name: 'search',
    status: '503',
    startedUs: startedUs + 510_000,
    details: { method: 'GET', url: 'http://search/', status_code: 503 },
  }),
]);

describe('CSV', () => {
  it('quotes what needs it, and makes formulas harmless', () => {
    const rows = [
      [1, 'a,b', null],
      [new Date(0), '=HYPERLINK("x")', { k: [1] }],
      [-2, '-2', 'line\nbreak'],
    ];
    expect(csvOf(['n', 'text', 'more'], rows)).toBe(
      'n,text,more\r\n1,"a,b",\r\n1970-01-01T00:00:00.000Z,"\'=HYPERLINK(""x"")","{""k"":[1]}"\r\n' +
        '-2,\'-2,"line\nbreak"\r\n',
    );
  });
});

describe('a trace that started at infinity', () => {
  const endless = ([id, startedUs]: [string, number]) =>
    eventMade([id, null, 0, null], { startedUs, outcome: 'running' });
  const odd = treeMade([endless([root, Infinity]), endless(['before', -Infinity])], 1_000);

  it('is written so, and not as one of now', () => {
    const trace = openedExport({
      ...{ kind: 'trace', title: 'Trace', tree: odd, select: undefined },
      open: () => undefined,
    });
    const { events } = JSON.parse(trace.formats.json?.() ?? '') as {
      events: { startedAt: string; durationMs: number | null }[];
    };
    expect(events.map(({ startedAt }) => startedAt)).toEqual(['infinity', '-infinity']);
    expect(trace.formats.csv?.()).toContain(",'-infinity,");
    expect(odd.totalMs).toBe(0);
    const spans = otlpOf(odd).resourceSpans[0]?.scopeSpans[0]?.spans ?? [];
    expect(spans.map(({ startTimeUnixNano }) => startTimeUnixNano)).toEqual([
      '18446744073709551615',
      '0',
    ]);
    const said = { key: 'trace_console.started_at', value: { stringValue: 'infinity' } };
    expect(spans[0]?.attributes).toContainEqual(said);
  });
});

describe('a trace as OTLP', () => {
  const spans = otlpOf(tree).resourceSpans[0]?.scopeSpans[0]?.spans ?? [];

  it('has one trace id, a span an event below its parent, and times in nanoseconds', () => {
    expect(spans.map(({ traceId }) => traceId)).toEqual(Array(3).fill(root.replaceAll('-', '')));
    for (const { spanId } of spans) expect(spanId).toMatch(/^[0-9a-f]{16}$/);
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(3);
    expect(spans.map(({ parentSpanId }) => parentSpanId)).toEqual([
      undefined,
      spans[0]?.spanId,
      spans[1]?.spanId,
    ]);
    expect(spans[0]).toMatchObject({
      startTimeUnixNano: '1767225600123456000',
      endTimeUnixNano: '1767225602123456000',
      status: { code: 1 },
    });
  });

  it('says what failed, and how in the words of OpenTelemetry', () => {
    expect(spans[1]).toMatchObject({
      name: 'PreToolUse guard (Bash)',
      kind: 1,
      status: { code: 2, message: 'no' },
    });
    expect(spans[1]?.attributes).toContainEqual({
      key: 'error.type',
      value: { stringValue: 'Denied' },
    });
    expect(spans[2]?.kind).toBe(3);
    expect(spans[2]?.attributes).toContainEqual({
      key: 'http.response.status_code',
      value: { intValue: '503' },
    });
    expect(spans[0]?.attributes).toContainEqual({
      key: 'trace_console.cost_usd',
      value: { doubleValue: 0.5 },
    });
  });
});

describe('what is written', () => {
  it('of a trace is the same events in every format', () => {
    const { formats } = openedExport({
      kind: 'trace',
      title: 'Trace',
      tree,
      select: undefined,
      open: () => undefined,
    });
    const json = JSON.parse(formats.json?.() ?? '') as { events: { id: string }[] };
    expect(json.events.map(({ id }) => id)).toEqual([root, 'hook', 'call']);
    expect(formats.csv?.().match(/\r\n/g)).toHaveLength(4);
    expect(formats.csv?.()).toContain(`"'=SUM(A1), ""all""`);
  });

  it('never goes over a file that is there, and says why it could not be written', async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-export-'));
    onTestFinished(() => fs.rmSync(folder, { recursive: true }));
    const first = await writeNewFile(folder, 'rows', 'csv', 'one');
    const second = await writeNewFile(folder, 'rows', 'csv', 'two');
    expect([first, second].map((file) => path.basename(file))).toEqual(['rows.csv', 'rows-2.csv']);
    expect(fs.readFileSync(first, 'utf8')).toBe('one');
    expect(fs.statSync(first).mode & 0o777).toBe(0o600);
    await expect(writeNewFile(path.join(folder, 'none'), 'rows', 'csv', '')).rejects.toMatchObject({
      code: 'file_not_written',
    });
  });
});
