import { good, type Check } from '../check.js';

type Row = { installed: string | null; available: string | null; schema: string | null };

/** From 0.8.0 on an index scan goes on until enough rows pass the filter. */
const iterativeScans = [0, 8, 0];

export const pgvector: Check = {
  id: 'pgvector',
  title: 'pgvector',
  why: 'Embeddings and the search for similar patterns need the extension "vector" (its project is called pgvector). Before 0.8.0 a filtered search can return fewer rows than there are.',
  async run({ tx, capabilities }) {
    const { rows } = await tx.query<Row>(
      `SELECT e.extversion AS installed, e.extnamespace::regnamespace::text AS schema,
         (SELECT default_version FROM pg_available_extensions WHERE name = 'vector') AS available
       FROM (SELECT) AS one LEFT JOIN pg_extension AS e ON e.extname = 'vector'`,
    );
    const { installed = null, available = null, schema = null } = rows[0] ?? {};
    if (installed === null) {
      const major = Math.floor(capabilities.serverVersion / 10_000);
      return {
        severity: 'critical',
        evidence:
          available === null
            ? 'The server has no extension "vector".'
            : `The extension "vector" ${available} is on the server, but not in this database.`,
        mend:
          available === null
            ? 'Install the package on the server, then create the extension in this database.'
            : 'Create it, as a superuser where the package is not trusted.',
        command:
          available === null
            ? `apt install postgresql-${major}-pgvector`
            : 'CREATE EXTENSION IF NOT EXISTS vector;',
      };
    }
    if (available !== null && isOlder(versionOf(installed), versionOf(available))) {
      return {
        severity: isOlder(versionOf(installed), iterativeScans) ? 'warning' : 'advice',
        evidence: `Version ${installed} is registered in this database; the server has ${available}.`,
        mend: 'Update it in place, then rebuild the vector indexes. Never drop it: every embedding would go with it.',
        command: 'ALTER EXTENSION vector UPDATE;',
      };
    }
    if (isOlder(versionOf(installed), iterativeScans)) {
      return {
        severity: 'advice',
        evidence: `Version ${installed} has no iterative scans: a filtered search may find too little.`,
        mend: 'Install 0.8.0 or newer on the server, then update the extension.',
        command: 'ALTER EXTENSION vector UPDATE;',
      };
    }
    return good(`Version ${installed}, in the schema ${schema ?? '?'}.`);
  },
};

function versionOf(text: string): number[] {
  return text.split('.').map(Number);
}

function isOlder(version: readonly number[], than: readonly number[]): boolean {
  for (const [index, part] of than.entries()) {
    const own = version[index] ?? 0;
    if (own !== part) return own < part;
  }
  return false;
}
