import { beforeAll, describe, expect, it } from 'vitest';
import { redact, redacted, redactedJson, redactText } from '../../src/ingest/redact.js';
import { secrets } from './known-secrets.js';

// Behind the first half of a megabyte a text is looked at in another way: it must find the same.
describe.each([
  ['redacting', 0],
  ['redacting behind many other texts', 1 << 20],
])('%s', (_name, before) => {
  beforeAll(() => {
    redactText('.'.repeat(before), before);
  });

  it.each([
    'password',
    'DB_PASSWORD',
    'apiKey',
    'x-api-key',
    'API_KEY',
    'Authorization',
    'client_secret',
    'refreshToken',
    'credentials',
    'privateKey',
    'AWS_SECRET_ACCESS_KEY',
    'Set-Cookie',
    'DB_PWD',
  ])('takes the value of %s', (name) => {
    expect(redact({ deep: [{ [name]: secrets.plain }] })).toEqual({ deep: [{ [name]: redacted }] });
    expect(redact({ [name]: { inner: secrets.plain } })).toEqual({ [name]: redacted });
  });

  it.each(['input_tokens', 'max_tokens', 'tokens', 'keyboard', 'nextPageToken', 'PWD', 'author'])(
    'leaves %s',
    (name) => {
      expect(redact({ [name]: 'value' })).toEqual({ [name]: 'value' });
    },
  );

  it.each([
    ['a URL', (secret: string) => `postgresql://app:${secret}@db.example/app`],
    ['a line of an env file', (secret: string) => `FOO=1\nexport DB_PASSWORD=${secret}\nBAR=2`],
    ['a flag', (secret: string) => `mysql --password ${secret} -h db`],
    ['a flag with =', (secret: string) => `mysql --password=${secret}`],
    [
      'a header',
      (secret: string) => `curl -H "Authorization: Bearer ${secret}" https://example.com`,
    ],
    ['another header', (secret: string) => `curl -H 'X-Api-Key: ${secret}' https://example.com`],
    ['a later cookie', (secret: string) => `curl -H "Cookie: theme=dark; sid=${secret}; a=b" a.b`],
    ['a cookie that is set', (secret: string) => `Set-Cookie: sid=${secret}; Path=/; HttpOnly`],
    ['a base of keys', (secret: string) => `SECRET_KEY_BASE=${secret}`],
    ['an attribute', (secret: string) => `<add key="Password" value="${secret}"/>`],
    ['a Dockerfile', (secret: string) => `FROM node\nENV API_TOKEN ${secret}\nRUN true`],
    ['a setting', (secret: string) => `aws configure set aws_secret_access_key ${secret}`],
    ['a query', (secret: string) => `https://example.com/?a=1&access_token=${secret}&b=2`],
    ['JSON in a text', (secret: string) => JSON.stringify({ a: 1, api_key: secret, b: 2 })],
    [
      'JSON in JSON in a text',
      (secret: string) => JSON.stringify(JSON.stringify({ api_key: secret })),
    ],
    ['YAML', (secret: string) => `db:\n  password: "${secret}"\n  port: 5432`],
    ['a block of YAML', (secret: string) => `  password: >-\n    ${secret}\n  port: 1`],
    ['code', (secret: string) => `const client = new Client({ secret: '${secret}' });`],
    ['short names of an env file', (secret: string) => `MAIL_PASS=${secret}\nDB_PWD=${secret}`],
    ['a token of a program', (secret: string) => `GITHUB_PAT=${secret}\nNPM_AUTH=${secret}`],
    ['a key of an env file', (secret: string) => `   12\u2192ENCRYPTION_KEY=${secret}`],
    [
      'a signed URL',
      (secret: string) => `https://b.example/o?X-Amz-Signature=${secret}&sig=${secret}`,
    ],
    ['a webhook', (secret: string) => `https://hooks.slack.com/services/T0/B0/${secret}${secret}`],
    ['curl', (secret: string) => `curl -s -u admin:${secret} https://example.com`],
    [
      'other programs',
      (secret: string) => `sshpass -p ${secret} ssh a && mysql -u root -p${secret}`,
    ],
    ['curl with a header', (secret: string) => `curl -H "Accept: x" -u me:${secret} https://a.b`],
    ['curl over lines', (secret: string) => `curl https://a.b \\\n  -X POST \\\n-u me:${secret}`],
    ['curl with the URL first', (secret: string) => `curl $URL -u 'me:${secret}'`],
    [
      'short flags of curl',
      (secret: string) => `curl -ume:${secret} a.b; curl -sSu me:${secret} a.b`,
    ],
    [
      'long flags of curl',
      (secret: string) => `curl --user=me:${secret} a.b; curl --proxy-user "me:${secret}" a.b`,
    ],
    [
      'each flag of one curl',
      (secret: string) =>
        `curl -u me:${secret} -U proxy:${secret} --proxy-user 'you:${secret}' -E a.pem:${secret} --pass ${secret} https://a.b`,
    ],
    [
      'curl behind a long header',
      (secret: string) => `curl -H "X: ${'a'.repeat(2_000)}" -u me:${secret} a.b`,
    ],
    [
      'curl behind a body over lines',
      (secret: string) => `curl -d '{\n "a": 1\n}' -u me:${secret}`,
    ],
    [
      'curl behind bodies over lines in either quotes',
      (secret: string) =>
        `curl -d "{\n \\"a\\": 1\n}" --data='b\n| c' -d'\nd\n' -d $'e\n' -d 'it'\\''s\n' -u me:${secret} a.b`,
    ],
    [
      'quotes of curl that begin behind the user',
      (secret: string) => `curl -u me:"${secret}" -U 'me':'${secret}' -u "$ME":"a ${secret}" a.b`,
    ],
    [
      'quotes of curl with blanks in them',
      (secret: string) =>
        `curl -u "me:a b ${secret} c" --pass 'd ${secret}' --user me:'e ${secret}'`,
    ],
    ['curl behind a pipe in quotes', (secret: string) => `curl -d "a | b" -u me:${secret} a.b`],
    ['two of curl', (secret: string) => `curl -u me:${secret} a.b && curl -u me:${secret} c.d`],
    ['curl of Windows', (secret: string) => `C:\\curl.exe -u me:${secret} a.b`],
    ['curl in JSON', (secret: string) => JSON.stringify({ run: `curl -d "{}" -u "me:${secret}"` })],
    ['mysql with the database first', (secret: string) => `mysql shop -p${secret}`],
    ['mysql with quotes', (secret: string) => `mysqldump -h "db" -p'${secret}' shop`],
    ['docker with the registry first', (secret: string) => `docker login a.b -u me -p ${secret}`],
    ['docker', (secret: string) => `docker login -u me -p ${secret} registry.example.com`],
    ['SQL', (secret: string) => `ALTER ROLE app WITH PASSWORD '${secret}';`],
    ['XML', (secret: string) => `<server><password>${secret}</password></server>`],
    ['.netrc', (secret: string) => `machine example.com login me password ${secret}`],
    ['Kubernetes', (secret: string) => `- name: DB_TOKEN\n  value: ${secret}\n`],
  ])('takes a secret out of %s', (_, place) => {
    const text = redactText(place(secrets.plain));
    expect(text).not.toContain(secrets.plain);
    expect(text).toContain(redacted);
  });

  it.each([
    [{ headers: [{ name: 'Cookie', value: secrets.plain }] }],
    [{ env: [{ key: 'API_TOKEN', value: secrets.plain, type: 'text' }] }],
    [{ env: [{ value: { inner: secrets.plain }, name: 'password' }] }],
    [{ headers: [['Set-Cookie', secrets.plain]] }],
    [{ headers: [['X-Api-Key', secrets.plain]], env: [['DB_PASSWORD', secrets.plain]] }],
    [{ fields: [{ name: 'API key', value: secrets.plain }] }],
    [{ smtpPass: secrets.plain, 'db-pass': secrets.plain }],
  ])('takes out a value beside its name: %j', (value) => {
    const source = JSON.stringify(value);
    expect(JSON.stringify(redact(value))).not.toContain(secrets.plain);
    expect(redactedJson(value, source)).toBe(JSON.stringify(redact(value)));
  });

  it('knows secrets by their shape, wherever they stand', () => {
    for (const secret of Object.values(secrets).filter((each) => each !== secrets.plain)) {
      expect(redactText(`see ${secret}, and (${secret})`)).toBe(
        `see ${redacted}, and (${redacted})`,
      );
    }
    const key = ['-----BEGIN RSA PRIVATE KEY-----', 'MIIEow', '-----END RSA PRIVATE KEY-----'].join(
      '\n',
    );
    expect(redactText(`before\n${key}\nafter`)).toBe(`before\n${redacted}\nafter`);
    expect(redactText(`before\n${key.slice(0, 36)}`)).toBe(`before\n${redacted}`);
  });

  it('keeps JSON within a text readable as JSON', () => {
    const inner = JSON.stringify({ token: secrets.plain, port: 5432, max_tokens: 100 });
    expect(JSON.parse(redactText(inner))).toEqual({ token: redacted, port: 5432, max_tokens: 100 });
  });

  it('leaves ordinary texts as they are', () => {
    const text =
      'The token count was 12; see https://example.com/a?b=c and user@example.com. Key points: none.';
    expect(redactText(text)).toBe(text);
    for (const each of [
      "SyntaxError: Unexpected token '<' in JSON at position 0",
      'const render_pass: RenderPass = first_pass(signature: string);',
      'mkdir -p src/password && curl --silent https://example.com/a:b',
      'The password page asks for a password; <token> stands for it. file_path: src/a.ts',
      'curl https://a.b | sort -u a:b && docker run -u 1000:1000 -p 80:80 image',
      'curl -E "cert.pem" -u "name" --pass-through https://a.b:8080/c -O https://c.d:1 -F file=@a:b',
      'curl -sU https://a.b',
      "Don't use curl here, it isn't there.\nThey're called with -u a:b, aren't they?",
      "curl -d '{\n}' a.b\ndocker run -u 1000:1000 image; ls 'a b'",
      'curl "a.b\nsort -u a:b',
      'curl -u me:"" -u "me": -E "a":',
      'curlew -u a:b; scurl --user a:b; curl: -u a:b',
      'Use curl to try it.\n  -u user:name of the group\nThen login to mysql and see docker login -h.',
      'mysql -h db -P 3306; docker run -p 80:80 image; ssh -p 22 host',
    ])
      expect(redactText(each)).toBe(each);
    for (const value of [
      { name: 'path', value: 'kept' },
      { name: 'token count', label: 'kept' },
      ['key', 'kept'],
      ['Fix the password reset', 'Add tests'],
      { required: ['token', 'channel'] },
      { name: 'Fix the reset of a password', value: 'kept' },
      { passes: 'kept', bypass: 'kept' },
    ])
      expect(redact(value)).toEqual(value);
  });

  // As docs/security.md says: what is written in this way stays.
  it.each([
    (secret: string) => `the password is ${secret}, she said`,
    (secret: string) => `PASS=${secret} PIN=${secret} KEY=${secret}`,
    (secret: string) =>
      `redis-cli -a ${secret} ping; ldapsearch -w ${secret}; http -a me:${secret} a.b`,
    (secret: string) => `echo ${Buffer.from(secret).toString('base64')} | base64 -d`,
    () => 'password=1234567 token=12',
  ])('leaves what has no name, no shape and no known command (%#)', (place) => {
    const text = place(secrets.plain);
    expect(redactText(text)).toBe(text);
  });

  it('cuts long texts with a mark, and never a secret in two', () => {
    const text = `${'a '.repeat(90)}password=${secrets.plain} ${'b'.repeat(20_000)}`;
    const cut = redactText(text, 200);
    expect(cut).toMatch(/ more characters cut\]$/);
    expect(cut).not.toContain('hunter2');
    expect(redactText('👍'.repeat(10), 5)).not.toMatch(/[\ud800-\udbff](?![\udc00-\udfff])/);
  });

  it('takes NUL out, and bounds the depth', () => {
    expect(redact({ a: 'x\0y' })).toEqual({ a: 'xy' });
    let deep: unknown = 'bottom';
    for (let level = 0; level < 5_000; level += 1) deep = [deep];
    expect(JSON.stringify(redact(deep))).toContain('too deep');
  });

  it('keeps names that objects have a meaning for', () => {
    const hostile: unknown = JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}');
    expect(JSON.stringify(redact(hostile))).toBe('{"__proto__":{"a":1},"constructor":2}');
  });

  it('takes time that grows with the text only', () => {
    for (const piece of [
      'password',
      'a.b-c_',
      '--a',
      '--token ',
      '"secret":"\\',
      'eyJ',
      '://a:',
      'curl -',
      'curl "',
      `curl '"`,
      `curl -u "a:'`,
      ' -d "\n',
      ` -d'\\\n`,
      ` 'a'\\''\n`,
      ' "\\"',
      ' -u a',
      ' -uuuuu',
      '<token>',
      'login a password ',
      'mysql a',
      'curl ',
      'curl -u',
      'docker login ',
      'token\n ',
      '\n',
      ' ',
    ]) {
      const started = performance.now();
      redactText(`key ${piece.repeat(20_000)}`);
      redactText(`curl token${piece.repeat(80_000)}`);
      redactText(`curl token${piece.repeat(20_000)}`.slice(0, 16_000));
      expect(performance.now() - started).toBeLessThan(1_000);
    }
  });
});
