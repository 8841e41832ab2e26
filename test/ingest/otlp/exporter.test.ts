import { InMemorySpanExporter } from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createExporter } from '../../../src/ingest/otel-exporter/index.js';
import { IngestDatabase } from '../ingest-database.js';
import { sendTrace } from './genai-trace.js';

let db: IngestDatabase;
beforeAll(async () => {
  db = await IngestDatabase.create();
});
afterAll(() => db.close());

test('what the SDK gives its exporter is one tree with tokens and costs, without a collector', async () => {
  await sendTrace(createExporter({ url: db.test.url }), 'conversation-1');
  const { rows } = await db.test.query(
    `SELECT t.prompt_text, t.project, t.status, t.input_tokens::int AS input, t.cost_usd > 0 AS priced, p.prompt_text AS parent
     FROM execution_traces AS t LEFT JOIN execution_traces AS p ON p.correlation_id = t.parent_id ORDER BY t.started_at`,
  );
  const common = { project: 'shop-assistant', status: 'completed', input: 400, priced: true };
  expect(rows).toEqual([
    { ...common, prompt_text: 'Which orders are late?', parent: null },
    { ...common, prompt_text: 'invoke_agent researcher', parent: 'Which orders are late?' },
  ]);
});

test('spans for which there is no room are refused, and nothing throws', async () => {
  const kept = new InMemorySpanExporter();
  // What is kept is forgotten by a shutdown.
  kept.shutdown = () => Promise.resolve();
  await sendTrace(kept, 'conversation-2');
  const [first, ...others] = kept.getFinishedSpans();
  const exporter = createExporter({ url: 'postgresql://nobody@127.0.0.1:1/none', queueSpans: 1 });
  const codes: number[] = [];
  for (const spans of [first ? [first] : [], others]) {
    exporter.export(spans, ({ code }) => codes.push(code));
  }
  expect(codes).toEqual([0, 1]);
});
