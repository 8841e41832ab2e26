// Writes src/deploy/files.generated.ts: the text of schema/*.sql and schema/trace_console/*.sql as a TypeScript
// module, so that the bundle (and tsx, and the tests) carry the very files that psql runs; and
// src/core/schema-digest.generated.ts, by which the template of the embedded database is known to hold them. Written
// only when they change.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

function entriesOf(folder) {
  const names = fs
    .readdirSync(path.join(root, folder))
    .filter((name) => /^\d{3}_[a-z0-9_]+\.sql$/.test(name))
    .sort();
  const numbers = names.map((name) => name.slice(0, 3));
  const twice = numbers.find((number, index) => numbers.indexOf(number) !== index);
  if (twice)
    throw new Error(`${folder}: two files have the number ${twice}; renumber the newer one`);
  return names
    .map((name) => {
      const sql = fs.readFileSync(path.join(root, folder, name), 'utf8');
      return `  { name: ${JSON.stringify(name)}, sql: ${JSON.stringify(sql)} },`;
    })
    .join('\n');
}

const text = `// Generated from schema/ by scripts/embed-sql.mjs. Do not edit.
type EmbeddedFile = { readonly name: string; readonly sql: string };

export const embeddedFiles: readonly EmbeddedFile[] = [
${entriesOf('schema')}
];

export const embeddedConsoleFiles: readonly EmbeddedFile[] = [
${entriesOf('schema/trace_console')}
];
`;

function write(name, content) {
  const target = path.join(root, name);
  if (fs.existsSync(target) && fs.readFileSync(target, 'utf8') === content) return;
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.writeFileSync(target, content);
}

/** Of the texts of all schema files, with their names. */
export const schemaDigest = createHash('sha256').update(text).digest('hex');

write('src/deploy/files.generated.ts', text);
write(
  'src/core/schema-digest.generated.ts',
  `// Generated from schema/ by scripts/embed-sql.mjs. Do not edit.
export const schemaDigest = ${JSON.stringify(schemaDigest)};
`,
);
