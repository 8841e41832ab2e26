import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { schemaFiles } from '../src/deploy/schema-files.js';
import { createTestDatabase } from './helpers/database.js';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');

let folder: string;
let program: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'trace-console-package-'));
  // The build was made by npm ci; packing it again would build it again.
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: root });
  const [tarball = ''] = readdirSync(folder);
  await run('npm', ['install', '--global', '--prefix', folder, join(folder, tarball)], {
    cwd: folder,
  });
  program = join(folder, 'bin/trace-console');
}, 240_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const environment = { PATH: process.env.PATH, HOME: tmpdir() };

describe('the packed and globally installed program', () => {
  it('runs by its name and carries the schema inside', async () => {
    const { version } = (await import('../package.json', { with: { type: 'json' } })).default;
    const shown = await run(program, ['--version'], { env: environment, cwd: folder });
    expect(shown.stdout.trim()).toBe(version);
    const { stdout } = await run(program, ['schema', 'bundle'], {
      env: environment,
      cwd: folder,
      maxBuffer: 16 * 1024 * 1024,
    });
    for (const { name, sql } of schemaFiles) {
      expect(stdout).toContain(`-- ${name}`);
      expect(stdout).toContain(sql.trim());
    }
  });

  it('applies and verifies the schema on a server', async () => {
    const test = await createTestDatabase({ schema: false });
    const env = { ...environment, DATABASE_URL: test.url };
    await run(program, ['schema', 'apply'], { env, cwd: folder });
    const { stdout } = await run(program, ['schema', 'verify', '--json'], { env, cwd: folder });
    expect(JSON.parse(stdout)).toMatchObject({ ok: true });
  });

  it('has the writer for services, by import and by require, and it sends the last rows at the end', async () => {
    const test = await createTestDatabase();
    const env = { ...environment, DATABASE_URL: test.url };
    const beginning = (kind: string) =>
      `const tracer = createTracer({ flushMs: 60_000 }); tracer.trace('by ${kind}', () => undefined);`;
    const library = "'trace-console/writer'";
    // From there the package is found by its name.
    const cwd = join(folder, 'lib');
    const byImport = `import { createTracer } from ${library}; ${beginning('import')}`;
    const byRequire = `const { createTracer } = require(${library}); ${beginning('require')}`;
    await run(process.execPath, ['--input-type=module', '-e', byImport], { env, cwd });
    await run(process.execPath, ['-e', byRequire], { env, cwd });
    const waits = `${byRequire.replace('by require', 'by SIGTERM')} setInterval(() => {}, 1000); console.log('up');`;
    const exporters = `import { createExporter } from 'trace-console/otel-exporter';
      import { createRequire } from 'node:module';
      const required = createRequire('${cwd}/').call(undefined, 'trace-console/otel-exporter');
      await Promise.all([createExporter(), required.createExporter()].map((each) => each.shutdown()));`;
    await run(process.execPath, ['--input-type=module', '-e', exporters], { env, cwd });
    const child = spawn(process.execPath, ['-e', waits], {
      env,
      cwd,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    // The signal ends it as if nobody had listened.
    expect(await ended).toEqual([null, 'SIGTERM']);
    const page = readFileSync(join(root, 'docs/writing-traces.md'), 'utf8');
    const [, example = ''] = /```js\n([^]*?)```/.exec(page) ?? [];
    await run(process.execPath, ['--input-type=module', '-e', example], { env, cwd });
    const { rows } = await test.query(
      'SELECT prompt_text FROM execution_traces ORDER BY prompt_text COLLATE "C"',
    );
    expect(rows.map((row) => row.prompt_text as unknown)).toEqual([
      'Refund order 7',
      'Write the mail',
      'by SIGTERM',
      'by import',
      'by require',
    ]);
  });

  it('ends with the documented exit codes', async () => {
    const codeOf = (...args: string[]) =>
      run(program, args, { env: environment, cwd: folder }).then(
        () => 0,
        (error: unknown) => (error as { code: number }).code,
      );
    expect(await codeOf('--help')).toBe(0);
    expect(await codeOf('no-such-command')).toBe(2);
    expect(await codeOf('schema', 'verify', '--no-such-flag')).toBe(2);
    expect(await codeOf('schema', 'verify', '--pool-size', '4')).toBe(2);
    expect(await codeOf('schema', 'verify', '--url', 'postgresql://u@127.0.0.1:1/d')).toBe(3);
  });
});
