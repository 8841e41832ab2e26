/** The one role and the one database of an engine; every client is its superuser. */
export const engineUser = 'postgres';
export const engineDatabase = 'postgres';

/** The PostgreSQL major version whose files this engine reads (a test compares it with PGlite). */
export const engineMajor = '18';
