import { fc } from '../helpers/seeds.js';
import { describe, expect, it } from 'vitest';
import { schemaFiles } from '../../src/deploy/schema-files.js';
import { splitStatements } from '../../src/deploy/adopt.js';

describe('splitting a file into statements', () => {
  it('keeps semicolons inside strings, names, bodies and comments', () => {
    const statements = [
      `SELECT 'a;''b' AS "x;""y"`,
      '/* ; */ DO $$ BEGIN; END $$',
      'CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $body$ SELECT $$;$$ $body$',
    ];
    expect(splitStatements(`${statements.join(';\n')};\n-- last;`)).toEqual(statements);
  });

  it('takes a dollar sign outside a quote for what it is', () => {
    expect(splitStatements('SELECT $1; SELECT 5 - 3 / 2')).toEqual([
      'SELECT $1',
      'SELECT 5 - 3 / 2',
    ]);
  });

  it('loses nothing: the statements joined are the text', () => {
    const piece = fc.constantFrom(
      'SELECT 1',
      "'a;b'",
      '"c;d"',
      '$t$;$t$',
      '-- e;\n',
      '/*;*/',
      ' ',
      '$1',
      '-',
      '/',
    );
    fc.assert(
      fc.property(fc.array(fc.array(piece, { maxLength: 6 }), { maxLength: 6 }), (parts) => {
        const statements = parts
          .map((part) => part.join(' '))
          .filter((s) => s.replace(/--[^\n]*|\/\*;\*\//g, '').trim());
        expect(splitStatements(statements.join('\n;\n'))).toEqual(statements.map((s) => s.trim()));
      }),
    );
  });

  it('leaves no statement of the schema files cut in a body', () => {
    for (const { name, sql } of schemaFiles) {
      for (const statement of splitStatements(sql)) {
        const tags = statement.match(/\$\w*\$/g) ?? [];
        expect(tags.length % 2, `${name}: ${statement.slice(0, 60)}`).toBe(0);
      }
    }
  });
});
