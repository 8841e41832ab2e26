import { PGlite } from '@electric-sql/pglite';
import { amcheck } from '@electric-sql/pglite/contrib/amcheck';
import { uuid_ossp } from '@electric-sql/pglite/contrib/uuid_ossp';
import { vector } from '@electric-sql/pglite-pgvector';

/**
 * Extensions are pinned when the engine opens: always the same set, or an index of a type that one
 * start knows would break at the next. amcheck costs 4 ms and answers whether a folder is sound.
 */
export const engineExtensions = { vector, uuid_ossp, amcheck };

/**
 * Nothing checkpoints by itself in single-user mode: without limits the write-ahead log grew to
 * 1.9 GB. These bound what a CHECKPOINT of the daemon leaves behind.
 */
export const engineStartParameters = [
  ...PGlite.defaultStartParams,
  '-c',
  'max_wal_size=64MB',
  '-c',
  'min_wal_size=32MB',
  '-c',
  'jit=off',
];
