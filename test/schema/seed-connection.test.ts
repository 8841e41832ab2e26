import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { resolveSource } from '../../src/db/connection/source.js';
import { createTestDatabase } from '../helpers/database.js';
import { corrected, correctedFile, pathOf, printed } from './seed/blocks.js';
import { bash, checkout } from './seed/shell.js';

const root = join(import.meta.dirname, '../..');

test('connection details: the printed values are prose, the corrected ones lead to port 5436', () => {
  const file = 'local-deployment/01-connection.env';
  const environment = { TRACEABILITY_DB_PASSWORD: 'a password' };
  expect(() => resolveSource({ envFile: pathOf(file), environment })).toThrow(
    'The port "5436 (external) / 5432 (internal)" is not usable.',
  );
  expect(resolveSource({ envFile: pathOf(correctedFile(file)), environment })).toMatchObject({
    origin: 'POSTGRES_*',
    host: 'localhost',
    port: 5436,
    user: 'postgres',
    database: 'omninode_bridge',
    password: 'a password',
  });
});

test('connection string: a bare URL is no command; psql takes both variables', async () => {
  const database = await createTestDatabase({ schema: false });
  const env = {
    TRACEABILITY_DB_URL_EXTERNAL: database.url,
    TRACEABILITY_DB_URL: database.url,
  };
  const file = 'local-deployment/02-connection-strings.sh';
  const wrong = await bash(printed(file), { cwd: checkout(), env });
  expect(wrong.exitCode).toBe(127);
  expect(wrong.stderr).toContain('No such file or directory');
  const right = await bash(corrected(file), { cwd: checkout(), env });
  expect(right).toMatchObject({ exitCode: 0 });
  expect(right.stdout.match(/\(1 row\)/g)).toHaveLength(2);
});

test("can't connect from host: the printed command connects", async () => {
  const database = await createTestDatabase({ schema: false });
  const { stdout, exitCode } = await bash(
    // psql reads what the user would type.
    `echo 'SELECT current_database()' | (${printed('local-deployment/10-connect-from-host.sh')})`,
    { cwd: checkout(), env: { TRACEABILITY_DB_URL_EXTERNAL: database.url } },
  );
  expect(exitCode).toBe(0);
  expect(stdout).toContain(database.name);
});

test('services: the environment block is a reminder, with no variable in it', () => {
  const lines = printed('local-deployment/05-services.env').split('\n').filter(Boolean);
  expect(lines.filter((line) => !line.startsWith('#'))).toEqual([]);
});

type Compose = {
  services: Record<string, ComposeService>;
  networks?: Record<string, { name?: string; external?: boolean } | null>;
  volumes?: Record<string, unknown>;
};
type ComposeService = {
  image?: string;
  container_name?: string;
  environment?: Record<string, string> | string[];
  command?: string[];
  ports?: string[];
  volumes?: string[];
  networks?: string[];
  healthcheck?: { test: string[] };
};

/** Networks that a service joins and nothing declares: compose refuses such a file. */
function undeclaredNetworks({ services, networks = {} }: Compose): string[] {
  return Object.values(services)
    .flatMap((service) => service.networks ?? [])
    .filter((name) => !(name in networks));
}

test('compose: the printed service joins a network that its file does not declare', () => {
  const file = 'local-deployment/06-services.compose.txt';
  expect(undeclaredNetworks(parse(printed(file)) as Compose)).toEqual(['omninode-network']);
  const right = parse(corrected(file)) as Compose;
  expect(undeclaredNetworks(right)).toEqual([]);
  expect(right.networks?.['omninode-network']?.external).toBe(true);
});

test('docker-compose.yml is the local deployment of the second document', () => {
  const compose = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8')) as Compose;
  expect(Object.keys(compose.services)).toEqual(['postgres']);
  const { postgres } = compose.services;
  expect(postgres).toMatchObject({
    image: expect.stringMatching(/^pgvector\/pgvector:pg1[5-8]$/) as string,
    container_name: 'omninode-bridge-postgres',
    // Loopback only: what the database holds is not for the network.
    ports: ['127.0.0.1:5436:5432'],
    networks: ['omninode-network'],
  });
  expect(postgres?.environment).toMatchObject({
    POSTGRES_USER: 'postgres',
    POSTGRES_DB: 'omninode_bridge',
    POSTGRES_PASSWORD: expect.stringMatching(/^\$\{TRACEABILITY_DB_PASSWORD:\?/) as string,
  });
  expect(postgres?.healthcheck?.test.join(' ')).toContain('pg_isready');
  expect(undeclaredNetworks(compose)).toEqual([]);
  expect(compose.networks?.['omninode-network']?.name).toBe('omninode-network');
  const volume = postgres?.volumes?.[0]?.split(':')[0] ?? '';
  expect(Object.keys(compose.volumes ?? {})).toEqual([volume]);
  // The recommended settings, of which shared_buffers can be set at the start only.
  for (const setting of [
    'shared_buffers=256MB',
    'effective_cache_size=1GB',
    'work_mem=16MB',
    'maintenance_work_mem=256MB',
  ]) {
    expect(postgres?.command).toContain(setting);
  }
});

test('.env.example: filled in, the console finds the container from the host', () => {
  const folder = checkout();
  mkdirSync(join(folder, 'filled'));
  const file = join(folder, 'filled/.env');
  writeFileSync(
    file,
    readFileSync(join(root, '.env.example'), 'utf8').replace(
      /^TRACEABILITY_DB_PASSWORD=$/m,
      'TRACEABILITY_DB_PASSWORD=0123456789abcdef',
    ),
  );
  expect(resolveSource({ envFile: file, environment: {} })).toMatchObject({
    origin: 'TRACEABILITY_DB_URL_EXTERNAL',
    host: 'localhost',
    port: 5436,
    user: 'postgres',
    password: '0123456789abcdef',
    database: 'omninode_bridge',
  });
});
