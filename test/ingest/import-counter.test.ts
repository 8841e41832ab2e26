import { fc } from '../helpers/seeds.js';
import { expect, it } from 'vitest';
import type { AgentEvent } from '../../src/ingest/events.js';
import { ImportCounter } from '../../src/ingest/import-counter.js';

const base = { source: 'transcript', agent: 'claude-code' } as const;

/** Ids that differ little, in sessions whose names end as ids begin. */
const told = fc.record({
  session: fc.constantFrom('s', 's1', 's11'),
  id: fc.integer({ min: 0, max: 900 }).map(String),
  at: fc.integer({ min: 1, max: 1_000 }),
  output: fc.option(fc.nat(1_000), { nil: undefined }),
  model: fc.constantFrom('large', undefined),
  costUsd: fc.constantFrom(2, undefined),
  hasFailed: fc.boolean(),
});

it('counts each call and each tool once, with the most that is told of it', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(told, { minLength: 1_500, maxLength: 3_000 }), async (all) => {
      const counter = new ImportCounter(undefined);
      const outputs = new Map<string, number>();
      const failed = new Map<string, boolean>();
      const costs = new Map<string, number>();
      for (const { session, id, at, output, model, costUsd, hasFailed } of all) {
        const usage = output === undefined ? undefined : { output };
        const tool = { ...base, session, at, toolUse: id };
        const error = hasFailed ? { error: { type: 'tool_error' } } : {};
        const call = { message: id, provider: 'anthropic', model, usage, costUsd };
        const events: AgentEvent[] = [
          { ...base, session, at, kind: 'model_call', ...call },
          { ...tool, kind: 'tool_ended', outcome: hasFailed ? 'failed' : 'completed', ...error },
        ];
        for (const event of events) counter.count(event);
        const key = `${session} ${id}`;
        outputs.set(key, Math.max(outputs.get(key) ?? 0, output ?? 0));
        failed.set(key, hasFailed || failed.get(key) === true);
        if (costUsd !== undefined) costs.set(key, costUsd);
      }
      expect(await counter.finish()).toMatchObject({
        sessions: new Set(all.map(({ session }) => session)).size,
        modelCalls: outputs.size,
        toolCalls: failed.size,
        failedToolCalls: [...failed.values()].filter(Boolean).length,
        tokens: { output: [...outputs.values()].reduce((sum, each) => sum + each, 0) },
        costUsd: costs.size * 2,
      });
    }),
    { numRuns: 5 },
  );
});
