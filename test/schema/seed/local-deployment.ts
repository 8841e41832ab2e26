import type { Block } from './blocks.js';

/** The blocks of the document about the deployment in a local container. */
export const localDeployment: readonly Block[] = [
  {
    file: 'local-deployment/01-connection.env',
    section: 'Database Connection',
    runs: 'corrected',
    expectation: 'the console connects to localhost:5436 with the password of .env',
    slips: [
      {
        printed: 'POSTGRES_HOST=localhost (or omninode-bridge-postgres from Docker)',
        corrected: 'POSTGRES_HOST=localhost',
        reason: 'a variable has one value; the words behind it would be part of the host name',
      },
      {
        printed: 'POSTGRES_PORT=5436 (external) / 5432 (internal)',
        corrected: 'POSTGRES_PORT=5436',
        reason: 'the same',
      },
    ],
  },
  {
    file: 'local-deployment/02-connection-strings.sh',
    section: 'Connection String',
    runs: 'corrected',
    expectation: 'psql connects by both variables',
    slips: [
      {
        printed: '${TRACEABILITY_DB_URL_EXTERNAL}',
        corrected: 'psql "$TRACEABILITY_DB_URL_EXTERNAL"',
        reason: 'the shell takes the URL for the name of a program',
      },
    ],
  },
  {
    file: 'local-deployment/03-test-deployment.sql',
    section: 'Test Schema Deployment',
    runs: 'corrected',
    expectation: '8 tables, 3 dimensions, an id and a correlation_id',
    slips: [
      {
        printed: 'psql $TRACEABILITY_DB_URL_EXTERNAL',
        corrected: 'SELECT COUNT(*) FROM information_schema.tables',
        reason: 'a shell command among SQL statements is a syntax error',
      },
    ],
  },
  {
    file: 'local-deployment/04-test-views.sql',
    section: 'Test Views',
    runs: 'as printed',
    expectation: 'one summary row without NULLs but the agent, and no others, on an empty database',
    slips: [],
  },
  {
    file: 'local-deployment/05-services.env',
    section: 'Update Environment Variables',
    runs: 'as printed',
    expectation: 'only comments',
    slips: [],
  },
  {
    file: 'local-deployment/06-services.compose.txt',
    section: 'Update Docker Compose',
    runs: 'corrected',
    expectation: 'every network that a service joins is declared',
    slips: [
      {
        printed: '- omninode-network  # Connect to omninode network',
        corrected: 'external: true',
        reason: 'a network of another compose file must be declared as external',
      },
    ],
  },
  {
    file: 'local-deployment/07-engine.py',
    section: 'Configuration',
    runs: 'corrected',
    expectation: 'the example engine is made the same way, with 5 to 20 connections',
    slips: [
      {
        printed: 'max_overflow=20',
        corrected: 'max_overflow=15',
        reason: '10 and 20 more are 30 connections, where the same document recommends 5 to 20',
      },
    ],
  },
  {
    file: 'local-deployment/08-retention.sql',
    section: 'Data Retention',
    runs: 'corrected',
    expectation: 'nothing is lost that was to be archived',
    slips: [
      {
        printed: 'DELETE FROM execution_traces',
        corrected: "SELECT * FROM archive_traces('90 days', 5000);",
        reason: 'called archiving, it deletes the traces and all their children',
      },
    ],
  },
  {
    file: 'local-deployment/09-index-maintenance.sql',
    section: 'Index Maintenance',
    runs: 'as printed',
    expectation: 'the vector indexes are rebuilt, the tables analyzed',
    slips: [],
  },
  {
    file: 'local-deployment/10-connect-from-host.sh',
    section: "Can't connect from host",
    runs: 'as printed',
    expectation: 'psql connects',
    slips: [],
  },
  {
    file: 'local-deployment/11-vector-operations-fail.sql',
    section: 'Vector operations fail',
    runs: 'corrected',
    expectation: 'the extension is current, the embeddings are still there',
    slips: [
      {
        printed: 'DROP EXTENSION vector;',
        corrected: 'ALTER EXTENSION vector UPDATE;',
        reason:
          'columns depend on the extension; with CASCADE they would be dropped with all embeddings',
      },
    ],
  },
  {
    file: 'local-deployment/12-reset.sh',
    section: 'Need to reset schema',
    runs: 'corrected',
    expectation: 'the schema is dropped and deployed again, and verify finds it good',
    slips: [
      {
        printed: 'docker exec omninode-bridge-postgres psql -U postgres -d omninode_bridge',
        corrected: 'trace-console schema reset --yes',
        reason: 'it works only on the machine of the container, and only with the file it names',
      },
    ],
  },
];
