// A process that lives as short as a hook: for each client a connection, one transaction, the end.
import pg from 'pg';

const [config, process_, clients] = process.argv.slice(2);
for (let index = 0; index < Number(clients); index += 1) {
  const client = new pg.Client(JSON.parse(config));
  await client.connect();
  await client.query('BEGIN');
  await client.query('INSERT INTO writes VALUES ($1, $2, 0)', [process_, index]);
  await client.query('INSERT INTO writes SELECT $1, $2, n FROM generate_series(1, 3) n', [
    process_,
    index,
  ]);
  await client.query('COMMIT');
  await client.end();
}
