import path from 'node:path';
import { formatAge } from '../../../core/format/time.js';
import { exceptEmbedded, good, skipped, type Check, firstOf, needsAllStats } from '../check.js';
import { counted, formatBytes, withSeparators } from '../../../core/format/number.js';
import { quoteLiteral } from '../../../db/quote.js';
import { loadRunning } from '../../../embedded/index.js';

type ArchiverRow = {
  mode: string;
  archived: string | null;
  archived_age_ms: number | null;
  failed: string | null;
  failing: boolean;
  failures: number;
};

/** Failing: nothing was archived since the last failure. */
const archiverStatement = `
SELECT current_setting('archive_mode') AS mode, last_archived_wal AS archived, failed_count AS failures,
  1000 * date_part('epoch', now() - last_archived_time) AS archived_age_ms, last_failed_wal AS failed,
  COALESCE(last_failed_time > COALESCE(last_archived_time, '-infinity'), false) AS failing
FROM pg_stat_archiver`;

export const backups: Check = {
  id: 'backups',
  title: 'Backups',
  why: 'A database can be brought back to a moment only with a base backup and every write-ahead log file since. The server knows whether it archives these; dumps and the snapshots of a managed service it does not see.',
  skip: exceptEmbedded('"embedded export" writes it to a file'),
  async run({ tx }) {
    const { rows } = await tx.query<ArchiverRow>(archiverStatement);
    const [row] = rows;
    if (!row || row.mode === 'off') {
      return {
        severity: 'advice',
        evidence:
          'The server archives no write-ahead log (archive_mode is off); dumps are not seen.',
        fix: 'Make sure that dumps or the snapshots of a managed service are taken, and that a restore was tried; docs/deploy.md has one.',
      };
    }
    const last = row.archived
      ? `the last archived file, ${row.archived}, is ${formatAge(row.archived_age_ms)} old`
      : 'no file was ever archived';
    if (row.failing) {
      return {
        severity: 'warning',
        evidence: `Archiving fails at ${row.failed ?? '?'} (${row.failures} times in all); ${last}.`,
        fix: "Look for archive_command in the server's log. Until it works, the log files fill the disk of the server, and the backup ends at the last archived one.",
        command: 'SELECT * FROM pg_stat_archiver;',
      };
    }
    return good(`The write-ahead log is archived: ${last}.`);
  },
};

/** The counters moved to a view of their own in PostgreSQL 17. */
function checkpointsStatement(serverVersion: number): string {
  const [view, timed, requested] =
    serverVersion >= 170_000
      ? ['pg_stat_checkpointer', 'num_timed', 'num_requested']
      : ['pg_stat_bgwriter', 'checkpoints_timed', 'checkpoints_req'];
  return `SELECT ${timed} AS timed, ${requested} AS requested, current_setting('max_wal_size') AS wal_size FROM ${view}`;
}

/** Fewer are normal: backups and administrators ask for one now and then. */
const least = 20;

export const checkpoints: Check = {
  id: 'checkpoints',
  title: 'Checkpoints',
  why: 'Checkpoints should come by the clock. When the write-ahead log fills before, they come more often, and every page is written whole again after each.',
  skip: exceptEmbedded('its daemon makes them'),
  async run({ tx, capabilities }) {
    const { rows } = await tx.query<{ timed: number; requested: number; wal_size: string }>(
      checkpointsStatement(capabilities.serverVersion),
    );
    const { timed = 0, requested = 0, wal_size: walSize = '?' } = rows[0] ?? {};
    const evidence = `${withSeparators(requested)} on demand, ${withSeparators(timed)} by the clock`;
    if (requested <= least || requested <= timed) return good(`${evidence}.`);
    return {
      severity: 'advice',
      evidence: `${evidence}; max_wal_size is ${walSize}.`,
      fix: 'Allow more write-ahead log between two checkpoints, where the disk has the room; a reload is enough.',
      command: ["ALTER SYSTEM SET max_wal_size = '4GB';", 'SELECT pg_reload_conf();'],
    };
  },
};

const megabyte = 1_048_576;

/** What the schema's deployment guide recommends at least; bytes, or a plain number. */
const recommended = new Map(
  Object.entries({
    shared_buffers: { least: 256 * megabyte, value: '256MB' },
    effective_cache_size: { least: 1_024 * megabyte, value: '1GB' },
    work_mem: { least: 16 * megabyte, value: '16MB' },
    maintenance_work_mem: { least: 256 * megabyte, value: '256MB' },
    max_parallel_workers_per_gather: { least: 4, value: '4' },
  }),
);

type SettingRow = {
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
    const { rows } = await tx.query<SettingRow>(settingsStatement, [[...recommended.keys()]]);
    const low = rows.filter(({ name, value }) => value < (recommended.get(name)?.least ?? 0));
    if (low.length === 0) return good('None is lower than recommended.');
    const lines = low.map((row) => {
      const when = row.pending
        ? 'already changed: holds after a restart'
        : row.restart
          ? 'needs a restart'
          : 'needs a reload';
      return `${row.name} ${shown(row)} (recommended ${recommended.get(row.name)?.value ?? ''}; ${when})`;
    });
    return {
      severity: 'advice',
      evidence: `${counted(low.length, 'setting')} lower than recommended: ${firstOf(lines, 5)}.`,
      items: lines,
      fix: 'Set them where the server is configured. ALTER SYSTEM does it as a superuser, unless they stand on the command line of the server; a managed service has its own way.',
      command: [
        ...low.map(
          ({ name }) => `ALTER SYSTEM SET ${name} = '${recommended.get(name)?.value ?? ''}';`,
        ),
        'SELECT pg_reload_conf();',
      ],
    };
  },
};

function shown({ value, unit }: SettingRow): string {
  return unit === null ? String(value) : formatBytes(value);
}

type TemporaryFilesRow = { files: number; bytes: number; age_ms: number; work_mem: string };

/** A check with another limit than 1 GB a day; for tests. */
export function temporaryFilesCheck(bytesADay = 1_073_741_824): Check {
  return {
    id: 'temporary-files',
    title: 'Temporary files',
    why: 'A sort or a hash that does not fit into work_mem goes by way of the disk, which is slower and takes its place.',
    skip: exceptEmbedded('its memory is set by the console'),
    async run({ tx }) {
      const { rows } = await tx.query<TemporaryFilesRow>(
        `SELECT temp_files AS files, temp_bytes AS bytes,
           (SELECT reset_val || unit FROM pg_settings WHERE name = 'work_mem') AS work_mem,
           1000 * date_part('epoch', now() - COALESCE(stats_reset, pg_postmaster_start_time())) AS age_ms
         FROM pg_stat_database WHERE datname = current_database()`,
      );
      const { files = 0, bytes = 0, age_ms: ageMs = 0, work_mem: workMem = '?' } = rows[0] ?? {};
      const evidence = `${counted(files, 'file')}, ${formatBytes(bytes)}, in ${formatAge(ageMs)}`;
      const days = Math.max(1, ageMs / 86_400_000);
      if (bytes / days < bytesADay) return good(`${evidence}.`);
      return {
        severity: 'advice',
        evidence: `${evidence}; work_mem is ${workMem}.`,
        fix: 'Give sorts and hashes more memory, for the role that needs it: each of them in each session may take as much.',
        command: "ALTER ROLE CURRENT_USER SET work_mem = '64MB';",
      };
    },
  };
}

export const temporaryFiles = temporaryFilesCheck();

type LagRow = { name: string; bytes: number | null; seconds: number | null };

/** On a primary every standby; on a standby how far it is behind what it has received. */
const lagStatement = `
SELECT COALESCE(NULLIF(application_name, ''), client_addr::text, 'pid ' || pid) AS name,
  pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::float8 AS bytes,
  date_part('epoch', replay_lag) AS seconds
FROM pg_stat_replication WHERE NOT pg_is_in_recovery()`;

const ownLagStatement = `
SELECT 'this standby' AS name, pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::float8 AS bytes,
  CASE WHEN pg_last_wal_receive_lsn() <> pg_last_wal_replay_lsn()
       THEN date_part('epoch', clock_timestamp() - pg_last_xact_replay_timestamp()) END AS seconds`;

type LagLimits = { leastBytes: number; leastSeconds: number };

const usualLag: LagLimits = { leastBytes: 268_435_456, leastSeconds: 60 };

/** A check with other limits than the usual; for tests. */
export function replicationLagCheck(limits: Partial<LagLimits> = {}): Check {
  const { leastBytes, leastSeconds } = { ...usualLag, ...limits };
  return {
    id: 'replication-lag',
    title: 'Replication lag',
    why: 'A standby far behind answers with old data, and at a failover what it has not received is lost. A large archiving or a rebuild may cause it.',
    skip: needsAllStats('nothing replicates it'),
    async run({ tx, capabilities }) {
      const { rows } = await tx.query<LagRow>(
        capabilities.standby ? ownLagStatement : lagStatement,
      );
      const behind = rows.filter(
        ({ bytes, seconds }) => (bytes ?? 0) >= leastBytes || (seconds ?? 0) >= leastSeconds,
      );
      if (behind.length === 0) {
        return good(
          rows.length === 0
            ? 'No standby is connected.'
            : `${counted(rows.length, 'standby', 'standbys')}, none far behind.`,
        );
      }
      const lines = behind.map(
        ({ name, bytes, seconds }) =>
          `${name} is ${formatBytes(bytes ?? 0)} of log behind${seconds === null ? '' : `, ${Math.round(seconds)} s`}`,
      );
      return {
        severity: 'warning',
        evidence: `${firstOf(lines, 2)}.`,
        items: lines,
        fix: 'Pause what writes much (archiving waits by itself), and look at the standby: its disk, a long query in the way of replay, a paused replay.',
        command: 'SELECT * FROM pg_stat_replication;',
      };
    },
  };
}

export const replicationLag = replicationLagCheck();

type SlotRow = { slot: string; active: boolean; bytes: number | null; status: string | null };

const slotsStatement = `
SELECT slot_name::text AS slot, active, wal_status AS status,
  pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
    restart_lsn)::float8 AS bytes
FROM pg_replication_slots ORDER BY bytes DESC NULLS LAST`;

/** A check with another limit than 1 GB of held log; for tests. */
export function replicationSlotsCheck(leastBytes = 1_073_741_824): Check {
  return {
    id: 'replication-slots',
    title: 'Replication slots',
    why: 'A slot keeps the write-ahead log until its reader has it, without limit unless max_slot_wal_keep_size is set. One that nobody reads fills the disk, and may keep vacuum from removing rows.',
    skip: exceptEmbedded('nothing replicates it'),
    async run({ tx }) {
      const { rows } = await tx.query<SlotRow>(slotsStatement);
      const bad = rows.filter(
        ({ active, bytes, status }) => !active || status === 'lost' || (bytes ?? 0) > leastBytes,
      );
      const [first] = bad;
      if (!first) {
        return good(
          rows.length === 0
            ? 'There are none.'
            : `${counted(rows.length, 'slot')}, all being read.`,
        );
      }
      const lines = bad.map(
        ({ slot, active, bytes, status }) =>
          `${slot} ${active ? 'is read' : 'is not read'}, ${
            status === 'lost' ? 'has lost its log' : `holds ${formatBytes(bytes ?? 0)} of log`
          }`,
      );
      const severe = bad.some(
        ({ bytes, status }) => status === 'lost' || (bytes ?? 0) > leastBytes,
      );
      return {
        severity: severe ? 'warning' : 'advice',
        evidence: `${firstOf(lines, 2)}.`,
        items: lines,
        fix: 'Start its reader again. When there is none any more, drop the slot; and let max_slot_wal_keep_size bound what one may hold.',
        command: `SELECT pg_drop_replication_slot(${quoteLiteral(first.slot)});`,
      };
    },
  };
}

export const replicationSlots = replicationSlotsCheck();

/** What went wrong longer ago is over (ms). */
const troubleAgeMs = 86_400_000;
const mostTroubles = 20;

export const embeddedDaemon: Check = {
  id: 'embedded-daemon',
  title: 'Embedded database',
  why: 'One process serves every client of the embedded database, and one thread of it runs their statements. When that thread had to be ended, the statement that it was at was lost; when the disk fills, it does not start again.',
  skip: ({ embedded }) => (embedded ? undefined : 'a server: the embedded database is not used'),
  async run({ host }) {
    if (!path.isAbsolute(host)) return skipped('another program serves it');
    const { daemonHealth } = await loadRunning();
    const nowMs = Date.now();
    const health = await daemonHealth(host, nowMs - troubleAgeMs);
    if (health === undefined) {
      return {
        severity: 'warning',
        evidence: `Its process serves this connection, and does not say how it is (${host}).`,
        fix: 'Look whether "trace-console embedded status" answers. If not, quit the consoles and end it: "trace-console embedded stop".',
      };
    }
    const { status, troubles } = health;
    const { pid, version, startedAt, engineRestarts: restarts, dataFolder } = status;
    const upMs = nowMs - Date.parse(startedAt);
    const lives = `Process ${pid} (version ${version}) answers, and runs for ${formatAge(upMs)}`;
    const engine = `${counted(restarts, 'restart')} of its engine`;
    const [last] = troubles;
    if (last === undefined) return good(`${lives}, with ${engine}.`);
    const items = troubles
      .slice(0, mostTroubles)
      .map(({ atMs, text }) => `${formatAge(nowMs - atMs)} ago: ${text.slice(0, 300)}`);
    return {
      severity: troubles.some(({ level }) => level === 'error') ? 'warning' : 'advice',
      evidence: `${lives}, with ${engine}; its log has ${counted(troubles.length, 'trouble')} of the last day, the newest ${items[0] ?? ''}`,
      items,
      fix: `What was committed is safe. ${dataFolder === undefined ? 'Its log' : `${dataFolder}/daemon.log`} has all: a statement that takes too long is ended with its engine; a full disk needs room.`,
    };
  },
};
