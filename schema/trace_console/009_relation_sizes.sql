-- 009: how large the tables and indexes of a schema were, once a day, so that growth a day can be told. Also tells since when
-- an index is there, which the catalogue does not. Days older than 100 are removed by whoever adds one.

CREATE TABLE IF NOT EXISTS trace_console.relation_sizes (
  target_schema name NOT NULL,
  relation name NOT NULL,
  -- r: a table with its indexes and long values; i: an index by itself.
  kind "char" NOT NULL,
  -- By UTC.
  taken_on date NOT NULL,
  taken_at timestamptz NOT NULL,
  bytes bigint NOT NULL,
  PRIMARY KEY (target_schema, relation, taken_on)
);

COMMENT ON TABLE trace_console.relation_sizes IS
  'Sizes of tables and indexes, once a day, for 100 days; written by open consoles, trace-console collect and maintain';
