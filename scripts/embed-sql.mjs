// Writes src/sql/files.generated.ts: the text of schema/*.sql as a TypeScript module, so that the
// bundle (and tsx, and the tests) carry the very files that psql runs. Written only when it changes.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const folder = path.join(root, 'schema');
const target = path.join(root, 'src/sql/files.generated.ts');

const names = fs
  .readdirSync(folder)
  .filter((name) => /^\d{3}_[a-z0-9_]+\.sql$/.test(name))
  .sort();

const entries = names.map((name) => {
  const sql = fs.readFileSync(path.join(folder, name), 'utf8');
  return `  { name: ${JSON.stringify(name)}, sql: ${JSON.stringify(sql)} },`;
});

const text = `// Generated from schema/*.sql by scripts/embed-sql.mjs. Do not edit.
export const embeddedFiles: readonly { readonly name: string; readonly sql: string }[] = [
${entries.join('\n')}
];
`;

const current = fs.existsSync(target) ? fs.readFileSync(target, 'utf8') : '';
if (current !== text) {
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.writeFileSync(target, text);
}
