import { formatBytes } from '../../../shared/format/bytes.js';
import { counted, exceptEmbedded, firstOf, good, type Check } from '../check.js';

const megabyte = 1_048_576;

/** What the schema's deployment guide recommends at least; bytes, or a plain number. */
const recommended: Readonly<Record<string, { least: number; value: string }>> = {
  shared_buffers: { least: 256 * megabyte, value: '256MB' },
  effective_cache_size: { least: 1_024 * megabyte, value: '1GB' },
  work_mem: { least: 16 * megabyte, value: '16MB' },
  maintenance_work_mem: { least: 256 * megabyte, value: '256MB' },
  max_parallel_workers_per_gather: { least: 4, value: '4' },
};

type Row = {
  name: string;
  /** Bytes, or the number as it is. */
  value: number;
  unit: string | null;
  restart: boolean;
  pending: boolean;
};

/** `reset_val` is what a new session gets: the console sets some of these for its own statements. */
const settingsStatement = `
SELECT name, unit, context = 'postmaster' AS restart, pending_restart AS pending,
  reset_val::float8 * CASE unit WHEN 'kB' THEN 1024 WHEN '8kB' THEN 8192 WHEN 'MB' THEN 1048576 ELSE 1 END AS value
FROM pg_settings WHERE name = ANY ($1) ORDER BY name`;

export const settings: Check = {
  id: 'settings',
  title: 'Memory and parallel settings',
  why: 'PostgreSQL starts with settings for a very small machine. The deployment guide of this schema asks for more, above all for index builds and searches by embedding.',
  skip: exceptEmbedded('its memory is set by the console'),
  async run({ tx }) {
    const { rows } = await tx.query<Row>(settingsStatement, [Object.keys(recommended)]);
    const low = rows.filter(({ name, value }) => value < (recommended[name]?.least ?? 0));
    if (low.length === 0) return good('None is lower than recommended.');
    const lines = low.map((row) => {
      const when = row.pending
        ? 'already changed: holds after a restart'
        : row.restart
          ? 'needs a restart'
          : 'needs a reload';
      return `${row.name} ${shown(row)} (recommended ${recommended[row.name]?.value ?? ''}; ${when})`;
    });
    return {
      severity: 'advice',
      evidence: `${counted(low.length, 'setting')} lower than recommended: ${firstOf(lines, 5)}.`,
      items: lines,
      mend: 'Set them where the server is configured. ALTER SYSTEM does it as a superuser, unless they stand on the command line of the server; a managed service has its own way.',
      command: [
        ...low.map(({ name }) => `ALTER SYSTEM SET ${name} = '${recommended[name]?.value ?? ''}';`),
        'SELECT pg_reload_conf();',
      ].join(' '),
    };
  },
};

function shown({ value, unit }: Row): string {
  return unit === null ? String(value) : formatBytes(value);
}
