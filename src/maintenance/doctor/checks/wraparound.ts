import { withSeparators } from '../../../shared/format/number.js';
import { firstOf, good, type Check } from '../check.js';

/** PostgreSQL refuses to write some 3 million transactions before 2^31; its failsafe begins at 1.6 billion. */
const dangerous = 1_200_000_000;

/**
 * Ages of the database and of its oldest tables, in transactions and multixacts, and what keeps vacuum
 * from freezing: the oldest of transactions, prepared ones and slots.
 */
const agesStatement = `
SELECT
  age(datfrozenxid) AS xid_age, mxid_age(datminmxid) AS mxid_age,
  current_setting('autovacuum_freeze_max_age')::int AS xid_limit,
  current_setting('autovacuum_multixact_freeze_max_age')::int AS mxid_limit,
  ARRAY(SELECT c.oid::regclass::text FROM pg_class AS c WHERE c.relkind IN ('r', 'm', 't') AND c.relfrozenxid <> '0'
        ORDER BY age(c.relfrozenxid) DESC, c.oid LIMIT 3) AS oldest
FROM pg_database WHERE datname = current_database()`;

type Row = {
  xid_age: number;
  mxid_age: number;
  xid_limit: number;
  mxid_limit: number;
  oldest: string[];
};

export const wraparound: Check = {
  id: 'wraparound',
  title: 'Wraparound',
  why: 'Transaction numbers come round after about two billion. Vacuum freezes old rows before; where it cannot, PostgreSQL stops to accept writes to save the data.',
  async run({ tx }) {
    const { rows } = await tx.query<Row>(agesStatement);
    const [row] = rows;
    if (!row) return good('The server tells no ages.');
    const { xid_age: xids, mxid_age: mxids, xid_limit: xidLimit, mxid_limit: mxidLimit } = row;
    const evidence = `Oldest row: ${withSeparators(xids)} transactions and ${withSeparators(mxids)} multixacts old; autovacuum freezes at ${withSeparators(xidLimit)} and ${withSeparators(mxidLimit)}`;
    // A vacuum against wraparound takes its time; a tenth beyond the limit it should have come.
    const overdue = xids > 1.1 * xidLimit || mxids > 1.1 * mxidLimit;
    if (!overdue) return good(`${evidence}.`);
    return {
      severity: Math.max(xids, mxids) > dangerous ? 'critical' : 'warning',
      evidence: `${evidence}. Vacuum cannot keep up. Oldest tables: ${firstOf(row.oldest)}.`,
      items: row.oldest,
      mend: 'Something old may keep vacuum from freezing: end long transactions, prepared transactions and unused replication slots first, then freeze the whole database.',
      command: 'VACUUM (FREEZE, VERBOSE);',
    };
  },
};
