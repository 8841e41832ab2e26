import { exceptEmbedded, good, type Check } from '../check.js';

/** Other roles' rows have no backend_type for a role without pg_read_all_stats, but their database. */
const connectionsStatement = `
SELECT
  count(*) FILTER (WHERE a.datid IS NOT NULL AND COALESCE(a.backend_type, 'client backend') = 'client backend') AS used,
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - COALESCE(current_setting('reserved_connections', true)::int, 0) AS places,
  current_setting('max_connections')::int AS most,
  count(*) FILTER (WHERE a.application_name = 'trace-console') AS own,
  count(*) FILTER (WHERE a.datname = current_database()) AS of_database,
  (SELECT NULLIF(datconnlimit, -1) FROM pg_database WHERE datname = current_database()) AS database_limit,
  count(*) FILTER (WHERE a.usename = current_user) AS of_role,
  (SELECT NULLIF(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user) AS role_limit
FROM pg_stat_activity AS a`;

type Row = {
  used: number;
  places: number;
  most: number;
  own: number;
  of_database: number;
  database_limit: number | null;
  of_role: number;
  role_limit: number | null;
};

export const connections: Check = {
  id: 'connections',
  title: 'Connections',
  why: 'When every place is taken the next writer is refused. Each connection costs memory as well: a pool of 5 to 20 an application is enough.',
  skip: exceptEmbedded('its daemon serves any number of clients in one session'),
  async run({ tx }) {
    const { rows } = await tx.query<Row>(connectionsStatement);
    const [row] = rows;
    if (!row) return good('The server shows no sessions.');
    const limits = [
      { used: row.used, limit: row.places, of: `of ${row.most}, less those reserved` },
      { used: row.of_database, limit: row.database_limit, of: 'allowed to this database' },
      { used: row.of_role, limit: row.role_limit, of: 'allowed to this role' },
    ].filter((one): one is { used: number; limit: number; of: string } => one.limit !== null);
    const fullest = limits.reduce((a, b) => (b.used / b.limit > a.used / a.limit ? b : a));
    const share = fullest.used / fullest.limit;
    const evidence = `${fullest.used} of ${fullest.limit} connections are taken (${fullest.of}); ${row.own} by this console's kind.`;
    if (share < 0.8) return good(evidence);
    return {
      severity: share >= 0.95 ? 'critical' : 'warning',
      evidence,
      mend: 'See who holds them; keep the pools of applications between 5 and 20, or put a pooler in between.',
      command:
        'SELECT usename, application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3 ORDER BY 4 DESC;',
    };
  },
};
