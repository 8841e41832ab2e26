import { fc } from '../../helpers/seeds.js';
import { expect, test } from 'vitest';
import { scanStatements } from '../../../src/embedded/mux/statement-facts.js';

const words = (sql: string): string[][] =>
  scanStatements(sql).map(({ tokens }) => tokens.map(({ text }) => text));

test('splits statements outside of quotes and comments only', () => {
  expect(words("SELECT ';' ; select 1")).toEqual([
    ['select', ';'],
    ['select', '1'],
  ]);
  expect(words('a /* ; /* nested ; */ ; */ b -- ; c\n; d')).toEqual([['a', 'b'], ['d']]);
  expect(words('select $x$ ; $y$ ; $x$; b')).toEqual([['select', ' ; $y$ ; '], ['b']]);
  expect(words('select "a;""b" ; c')).toEqual([['select', 'a;"b'], ['c']]);
  expect(words("select E'it\\'s ; ' ; c")).toEqual([['select', "it\\'s ; "], ['c']]);
  expect(words("select 'back\\' ; c")).toEqual([['select', 'back\\'], ['c']]);
  expect(words(' ; ;; ')).toEqual([]);
});

test('tells names in quotes from words, and folds words only', () => {
  const [statement] = scanStatements('LISTEN "News" NEWS $1');
  expect(statement?.tokens.map(({ kind, text }) => `${kind} ${text}`)).toEqual([
    'word listen',
    'identifier News',
    'word news',
    'symbol $',
    'symbol 1',
  ]);
});

test('gives byte offsets of every token, for any text', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...`'"$;-/*a1 \n\\E_é(`.split('')), { maxLength: 60 }),
      (chars) => {
        const sql = chars.join('');
        let end = 0;
        for (const { tokens } of scanStatements(sql)) {
          for (const token of tokens) {
            expect(token.start).toBeGreaterThanOrEqual(end);
            expect(token.end).toBeGreaterThan(token.start);
            end = token.end;
          }
        }
        expect(end).toBeLessThanOrEqual(sql.length);
      },
    ),
    { numRuns: 500 },
  );
});

test('gets through megabytes of quotes, comments and values without recursion', () => {
  const million = 1_000_000;
  expect(scanStatements(`SELECT '${"''".repeat(million)}'; b`)).toHaveLength(2);
  expect(scanStatements('/*'.repeat(million))).toHaveLength(0);
  const values = scanStatements(`INSERT INTO t VALUES ${'(1),'.repeat(million / 4)}(1)`);
  expect(values).toHaveLength(1);
  expect(values[0]?.truncated).toBe(true);
});
