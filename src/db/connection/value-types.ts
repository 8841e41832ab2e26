import pg from 'pg';

const int8 = 20;
const numeric = 1700;

/**
 * How values arrive: bigint and numeric as JavaScript numbers. Counters, bytes, milliseconds and
 * dollars of this schema stay within the 15 digits that a double holds exactly.
 */
export const valueTypes = new pg.TypeOverrides();
valueTypes.setTypeParser(int8, Number);
valueTypes.setTypeParser(numeric, Number);
