import { fc } from '../helpers/seeds.js';
import { describe, expect, it } from 'vitest';
import { redact, redactedJson } from '../../src/ingest/redact.js';
import { secrets } from './known-secrets.js';

describe('the text of a redacted value', () => {
  const words = [
    ...[
      'password',
      'passwd',
      'PassPhrase',
      'client_secret',
      'api-key',
      'apikey',
      'access_key',
      'cookie',
      'token',
    ],
    ...[
      'authorization',
      'credentials',
      'connectionString',
      'token_id',
      'max_tokens',
      'key',
      'pwd',
      'PWD',
      'auth',
    ],
    ...[
      'encryption.key',
      'c o o k i e',
      'nextPageToken',
      '--token',
      '--db-password',
      'author',
      'text',
      'toJSON',
    ],
    ...[
      'db_pass',
      'smtp_pwd',
      'GITHUB_PAT',
      'npm_auth',
      '?sig',
      '&X-Amz-Signature',
      'ENCRYPTION_KEY',
    ],
    ...[
      'name',
      'value',
      'value:',
      'curl -u a:',
      'sshpass -p ',
      'mysql -u r -p',
      'login u password ',
    ],
    ...[
      'docker login -p ',
      '<password>',
      '</password>',
      'hooks.slack.com/services/T012345/B012345/',
    ],
  ];
  const glue = [
    ...[
      '=',
      ': ',
      ' => ',
      ':',
      ' ',
      '\n',
      '\t',
      '\v',
      '\u00a0',
      '"',
      "'",
      '`',
      '\\',
      '\\"',
      '":',
      '" :',
      '/',
      '@',
    ],
    ...['-', '_', '{', '}', ',', '\b', '\u001b', '\0', '\u2028', '\ud83d', '👍', 'n', 'u0000', 'é'],
  ];
  const piece = fc.oneof(
    fc.constantFrom(...words),
    fc.constantFrom(...glue),
    fc.constantFrom(...Object.values(secrets)),
    fc.constantFrom(
      ...[
        'Bearer ',
        'basic\n',
        'Digest',
        '://user:',
        '@host',
        'hunter2-correct-horse',
        'a',
        '1234567',
      ],
      ...['-----BEGIN PRIVATE KEY-----', `github_pat_${'a1'.repeat(11)}`, `npm_${'b2'.repeat(16)}`],
      ...[
        `sk_live_${'c3'.repeat(6)}`,
        `dop_v1_${'d4'.repeat(16)}`,
        `SG.${'e5'.repeat(9)}.${'f6'.repeat(9)}`,
      ],
      ...[
        `hf_${'g7'.repeat(11)}`,
        `glpat-${'h8'.repeat(9)}`,
        `pypi-${'i9'.repeat(16)}`,
        `ya29.${'j0'.repeat(11)}`,
      ],
    ),
  );
  const text = fc.array(piece, { maxLength: 7 }).map((pieces) => pieces.join(''));
  const name = fc.oneof(fc.constantFrom(...words, 'a', 'b'), text);
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      text,
      fc.constantFrom<unknown>(null, true, '', 7, 1e21),
      fc.array(tie('value'), { maxLength: 4 }),
      fc
        .array(fc.tuple(name, tie('value')), { maxLength: 4 })
        .map((pairs) => Object.fromEntries(pairs)),
    ),
  }));
  /** Ways to write the same JSON. */
  const written = fc.constantFrom<(value: unknown) => string>(
    (each) => JSON.stringify(each),
    (each) => JSON.stringify(each, null, 2),
    (each) => JSON.stringify(each).replaceAll('":', '" :'),
    (each) => JSON.stringify(each).replaceAll('/', '\\/'),
    (each) =>
      JSON.stringify(each).replace(
        /[^\x20-\x7e]|[kK@]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`,
      ),
  );

  it('is that of redacting each string and name in it, however the JSON was written', () => {
    let kept = 0;
    fc.assert(
      fc.property(value, written, (made, write) => {
        const source = write(made);
        const parsed: unknown = JSON.parse(source);
        const result = redactedJson(parsed, source);
        if (result === source) kept += 1;
        expect(JSON.stringify(JSON.parse(result))).toBe(JSON.stringify(redact(parsed)));
      }),
      { numRuns: 4_000 },
    );
    // Both ways were tried.
    expect(kept).toBeGreaterThan(100);
    expect(kept).toBeLessThan(3_900);
  });

  it.each([
    JSON.stringify({ a: `x\n${secrets.anthropic}`, b: `\u001b${secrets.anthropic}` }),
    JSON.stringify({ a: `\u001b${secrets.anthropic}` }).replace('001b', '001B'),
    JSON.stringify({ a: 'postgres://app:hunter2@db' }).replaceAll('/', '\\/'),
    JSON.stringify({ a: 'token\t=\n"hunter2-hunter2"' }),
    JSON.stringify({ a: 'Bearer\nhunter2-hunter2' }),
    JSON.stringify({ a: '--secret\nhunter2' }),
  ])('finds a secret behind escapes: %s', (source) => {
    const parsed: unknown = JSON.parse(source);
    expect(redactedJson(parsed, source)).toBe(JSON.stringify(redact(parsed)));
    expect(redactedJson(parsed, source)).not.toMatch(/hunter2|AbCdEf/);
  });

  it('keeps an ordinary text as it is, and bounds what is too long or too deep', () => {
    const source = '{"tool": "Bash", "out": ["ok \\u001b[32m12\\n", 1.50, "tokens of a key"]}';
    expect(redactedJson(JSON.parse(source), source)).toBe(source);
    for (const each of [
      ['x'.repeat(70_000)],
      JSON.parse('['.repeat(80) + ']'.repeat(80)) as unknown,
    ])
      expect(redactedJson(each, JSON.stringify(each))).toBe(JSON.stringify(redact(each)));
  });

  it.each([
    '{"password":"hunter2","password":""}',
    '{"a":{"pass word":"hunter2"},"a":1}',
    '{"a":{"se-cret":"hunter2"},"a":1,"b" :2,"c" :3}',
  ])('has nothing that the parser has passed over: %s', (source) => {
    expect(redactedJson(JSON.parse(source), source)).not.toContain('hunter2');
  });
});
