import { fc } from '../../helpers/seeds.js';
import { expect, test } from 'vitest';
import { TurnQueue } from '../../../src/embedded/mux/turn.js';

test('serves clients in the order in which they asked', () => {
  const schedule = new TurnQueue<string>();
  for (const client of ['a', 'b', 'a', 'c']) schedule.request(client);
  expect([schedule.next(), schedule.next(), schedule.next(), schedule.next()]).toEqual([
    'a',
    'b',
    'c',
    undefined,
  ]);
});

test('gives the engine to nobody but its owner, and every request its turn in the end', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('request' as const), client: fc.nat({ max: 4 }) }),
    fc.record({ kind: fc.constant('serve' as const), opens: fc.boolean() }),
    fc.record({ kind: fc.constant('remove' as const), client: fc.nat({ max: 4 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const schedule = new TurnQueue<number>();
      const asked = new Set<number>();
      for (const next of steps) {
        if (next.kind === 'request') {
          schedule.request(next.client);
          asked.add(next.client);
        } else if (next.kind === 'remove') {
          schedule.remove(next.client);
          asked.delete(next.client);
        } else {
          const { owner } = schedule;
          const client = schedule.next();
          if (client === undefined) {
            expect(owner === undefined ? asked.size === 0 : !asked.has(owner)).toBe(true);
          } else {
            expect(owner === undefined || owner === client).toBe(true);
            expect(asked.delete(client)).toBe(true);
            schedule.own(next.opens ? client : undefined);
          }
        }
        const ownerAsks = schedule.owner !== undefined && asked.has(schedule.owner);
        expect(schedule.waiting).toBe(asked.size - (ownerAsks ? 1 : 0));
      }
      schedule.own(undefined);
      for (let client = schedule.next(); client !== undefined; client = schedule.next()) {
        expect(asked.delete(client)).toBe(true);
      }
      expect(asked.size).toBe(0);
    }),
  );
});
