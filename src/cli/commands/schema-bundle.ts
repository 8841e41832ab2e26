import { exitCodes } from '../../db/errors.js';
import { bundleSchema } from '../../deploy/bundle.js';
import { defineCommand } from '../command.js';

export const schemaBundle = defineCommand({
  name: 'schema bundle',
  summary: 'print all schema files as one migration',
  description: 'Needs no database. The text may run again; what exists stays as it is.',
  flags: {},
  examples: [
    'trace-console schema bundle > migration.sql',
    'trace-console schema bundle | psql -v ON_ERROR_STOP=1 -1 "$DATABASE_URL"',
  ],
  run({ print }) {
    print(bundleSchema().trimEnd());
    return Promise.resolve(exitCodes.good);
  },
});
