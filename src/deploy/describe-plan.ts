import type { Database } from '../db/database.js';
import type { Plan } from './plan.js';
import { schemaFiles } from './schema-files.js';

/** `localhost:5432, database omninode_bridge, schema public`: where something would be changed. */
export function placeOf(database: Database): string {
  const { address, capabilities } = database;
  const host = capabilities.embedded ? 'the embedded database' : `${address.host}:${address.port}`;
  return `${host}, database ${capabilities.database}, schema ${capabilities.schema}`;
}

/** Whether the schema may be applied without a question: the embedded database, or an empty schema. */
export function isUnasked(plan: Plan, { capabilities }: Database, rls: boolean): boolean {
  if (rls) return false;
  return plan.kind === 'new' && plan.schemaExists && (plan.empty || capabilities.embedded);
}

/** What an apply would do, a line each; also what it would leave alone. */
export function describePlan(plan: Plan, database: Database, rls: boolean): string[] {
  const lines = [`Target: ${placeOf(database)}`];
  if (plan.kind === 'incompatible') {
    lines.push('Refused, because other objects have the same names:');
    lines.push(...plan.conflicts.map((conflict) => `  ${conflict}`));
  }
  if (plan.kind === 'new') {
    if (!plan.schemaExists) lines.push(`Would create the schema ${database.capabilities.schema}.`);
    if (plan.schemaExists && !plan.empty) {
      lines.push('The schema holds objects of others; they stay untouched.');
    }
    lines.push('Would run, in one transaction:', ...schemaFiles.map(({ name }) => `  ${name}`));
  }
  if (plan.kind === 'adopt') {
    lines.push('Found a deployed schema. Would create what it lacks:');
    lines.push(...plan.missingTables.map((table) => `  table ${table}`));
    lines.push(
      ...plan.addColumns.map(
        ({ table, name, column }) => `  column ${table}.${name} ${column.type}`,
      ),
    );
    lines.push(...plan.addObjects.map((object) => `  ${object}`));
    lines.push(
      ...plan.addIndexes.map(
        ({ name, index }) => `  index ${name} on ${index.table}, CONCURRENTLY`,
      ),
    );
  }
  for (const { table, name, column } of plan.leftColumns) {
    const kind = column.generated ? `${column.type}, generated` : column.type;
    lines.push(`Left to you, since it rewrites the table: column ${table}.${name} (${kind}).`);
  }
  if (rls) {
    lines.push(
      "Would create Supabase's roles where they are missing and switch row-level security on:",
      '  roles other than the owner, service_role and superusers then see only their own rows.',
    );
  }
  return lines;
}
