import { formatBytes } from '../../../shared/format/bytes.js';
import { withSeparators } from '../../../shared/format/number.js';
import { formatAge } from '../../../shared/format/duration.js';
import { exceptEmbedded, good, type Check } from '../check.js';

type Row = { files: number; bytes: number; age_ms: number; work_mem: string };

/** A check with another limit than 1 GB a day; for tests. */
export function temporaryFilesCheck(bytesADay = 1_073_741_824): Check {
  return {
    id: 'temporary-files',
    title: 'Temporary files',
    why: 'A sort or a hash that does not fit into work_mem goes by way of the disk, which is slower and takes its place.',
    skip: exceptEmbedded('its memory is set by the console'),
    async run({ tx }) {
      const { rows } = await tx.query<Row>(
        `SELECT temp_files AS files, temp_bytes AS bytes,
           (SELECT reset_val || unit FROM pg_settings WHERE name = 'work_mem') AS work_mem,
           1000 * date_part('epoch', now() - COALESCE(stats_reset, pg_postmaster_start_time())) AS age_ms
         FROM pg_stat_database WHERE datname = current_database()`,
      );
      const { files = 0, bytes = 0, age_ms: ageMs = 0, work_mem: workMem = '?' } = rows[0] ?? {};
      const evidence = `${withSeparators(files)} files, ${formatBytes(bytes)}, in ${formatAge(ageMs)}`;
      const days = Math.max(1, ageMs / 86_400_000);
      if (bytes / days < bytesADay) return good(`${evidence}.`);
      return {
        severity: 'advice',
        evidence: `${evidence}; work_mem is ${workMem}.`,
        mend: 'Give sorts and hashes more memory, for the role that needs it: each of them in each session may take as much.',
        command: "ALTER ROLE CURRENT_USER SET work_mem = '64MB';",
      };
    },
  };
}

export const temporaryFiles = temporaryFilesCheck();
