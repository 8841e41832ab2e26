-- What trace-console 0.1.0 (the first release, schema files 001 to 013) left in its own schema after `schema apply`, `archive`,
-- `reindex`, `analyze` and `maintain policy set`: pg_dump --schema=trace_console --no-owner --no-privileges --inserts.

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

CREATE SCHEMA trace_console;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE trace_console.maintenance_runs (
    id bigint NOT NULL,
    target_schema name NOT NULL,
    action text NOT NULL,
    title text NOT NULL,
    subject text,
    input jsonb NOT NULL,
    exclusive_name text,
    state text DEFAULT 'running'::text NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ended_at timestamp with time zone,
    heartbeat_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    role name DEFAULT CURRENT_USER NOT NULL,
    client_user text,
    client_host text,
    client_pid integer,
    client_address inet DEFAULT inet_client_addr(),
    application text NOT NULL,
    console_version text NOT NULL,
    backend_pid integer DEFAULT pg_backend_pid() NOT NULL,
    progress jsonb,
    result jsonb,
    summary text,
    error jsonb,
    resumes bigint,
    CONSTRAINT maintenance_runs_state_check CHECK ((state = ANY (ARRAY['running'::text, 'done'::text, 'cancelled'::text, 'failed'::text, 'crashed'::text])))
);

COMMENT ON TABLE trace_console.maintenance_runs IS 'Every run of a maintenance action: who, from where, what, when, how far, with which result; written by trace-console';

ALTER TABLE trace_console.maintenance_runs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME trace_console.maintenance_runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE trace_console.retention_policies (
    target_schema name NOT NULL,
    archive_after text,
    purge_after text,
    prune_usage_after text,
    prune_patterns_after text,
    window_from time without time zone,
    window_to time without time zone,
    time_zone text DEFAULT 'UTC'::text NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_by name DEFAULT CURRENT_USER NOT NULL,
    CONSTRAINT retention_policies_archive_after_check CHECK (((archive_after)::interval >= '01:00:00'::interval)),
    CONSTRAINT retention_policies_check CHECK ((((window_from IS NULL) = (window_to IS NULL)) AND (window_from <> window_to))),
    CONSTRAINT retention_policies_prune_patterns_after_check CHECK (((prune_patterns_after)::interval >= '01:00:00'::interval)),
    CONSTRAINT retention_policies_prune_usage_after_check CHECK (((prune_usage_after)::interval >= '01:00:00'::interval)),
    CONSTRAINT retention_policies_purge_after_check CHECK (((purge_after)::interval >= '01:00:00'::interval))
);

COMMENT ON TABLE trace_console.retention_policies IS 'How long what is kept, one row a schema; carried out by "trace-console maintain --once"';

CREATE TABLE trace_console.schema_files (
    target_schema name NOT NULL,
    file text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL,
    applied_by name DEFAULT CURRENT_USER NOT NULL,
    console_version text NOT NULL
);

COMMENT ON TABLE trace_console.schema_files IS 'Which schema file was applied to which schema, when and by whom; written by trace-console';

INSERT INTO trace_console.maintenance_runs OVERRIDING SYSTEM VALUE VALUES (1, 'public', 'archive', 'Archive old traces', 'older than 90 days', '{"olderThan": "90 days"}', 'archive', 'done', '2026-11-27 14:25:54.100669+00', '2026-11-27 14:25:54.256415+00', '2026-11-27 14:25:54.100669+00', '2026-11-27 14:25:54.256415+00', 'postgres', 'operator', 'workstation', 31310, '127.0.0.1', 'trace-console', '0.1.0', 31326, '{"done": 12, "rate": 81.77439757550907, "unit": "traces", "phase": "moving traces", "total": 12, "secondsLeft": 0}', '{"bytes": 204800, "moved": {"endpoint_calls": 42, "hook_executions": 81, "execution_traces": 12, "agent_routing_decisions": 12}, "cutoff": "2026-08-29 14:25:54.122561+00", "skipped": {"locked": 0, "tooYoung": 0, "inProgress": 0}, "remaining": 0, "milliseconds": 147}', 'Archived 12 traces and 135 rows that belong to them; 147ms, 1,000 rows/s; 200 kB more in the archive.', NULL, NULL);
INSERT INTO trace_console.maintenance_runs OVERRIDING SYSTEM VALUE VALUES (2, 'public', 'reindex', 'Reindex', 'idx_pattern_embedding', '{"indexes": ["idx_pattern_embedding"]}', NULL, 'done', '2026-11-27 14:25:54.783471+00', '2026-11-27 14:25:55.278133+00', '2026-11-27 14:25:54.783471+00', '2026-11-27 14:25:55.278133+00', 'postgres', 'operator', 'workstation', 31327, '127.0.0.1', 'trace-console', '0.1.0', 31354, '{"phase": "measuring the recall of idx_pattern_embedding"}', '{"left": null, "rebuilt": [{"index": "idx_pattern_embedding", "table": "success_patterns", "vector": {"method": "ivfflat", "sample": "its own rows", "listsAfter": 100, "listsBefore": 100, "recallAfter": {"recall": 0.86, "queries": 40, "milliseconds": 0.6464449999999715}, "recallBefore": {"recall": 0.4775, "queries": 40, "milliseconds": 0.9344290000000228}}, "dropped": [], "bytesAfter": 1646592, "leftBehind": null, "bytesBefore": 2318336, "milliseconds": 444}], "remaining": []}', 'Rebuilt idx_pattern_embedding in 0.4 s: 2.2 MB before, 1.6 MB now; ivfflat, 100 lists; recall@10 0.477 before, 0.860 now, 1ms a query (40 vectors of its own rows); --method hnsw may find more of such vectors.', NULL, NULL);
INSERT INTO trace_console.maintenance_runs OVERRIDING SYSTEM VALUE VALUES (3, 'public', 'analyze', 'Analyze', 'all tables', '{}', NULL, 'done', '2026-11-27 14:25:56.888491+00', '2026-11-27 14:25:57.221422+00', '2026-11-27 14:25:56.888491+00', '2026-11-27 14:25:57.221422+00', 'postgres', 'operator', 'workstation', 31456, '127.0.0.1', 'trace-console', '0.1.0', 31472, '{"phase": "12 of 12: analyze success_patterns"}', '{"done": [{"table": "agent_routing_decisions_archive", "milliseconds": 26, "deadRowsAfter": 0, "deadRowsBefore": 0}, {"table": "execution_traces_archive", "milliseconds": 38, "deadRowsAfter": 0, "deadRowsBefore": 0}, {"table": "endpoint_calls_archive", "milliseconds": 14, "deadRowsAfter": 0, "deadRowsBefore": 0}, {"table": "error_patterns", "milliseconds": 10, "deadRowsAfter": 0, "deadRowsBefore": 0}, {"table": "pattern_usage_log", "milliseconds": 12, "deadRowsAfter": 4, "deadRowsBefore": 4}, {"table": "agent_chaining_patterns", "milliseconds": 8, "deadRowsAfter": 0, "deadRowsBefore": 0}, {"table": "hook_executions_archive", "milliseconds": 10, "deadRowsAfter": 0, "deadRowsBefore": 0}, {"table": "execution_traces", "milliseconds": 17, "deadRowsAfter": 12, "deadRowsBefore": 12}, {"table": "agent_routing_decisions", "milliseconds": 30, "deadRowsAfter": 12, "deadRowsBefore": 12}, {"table": "endpoint_calls", "milliseconds": 67, "deadRowsAfter": 42, "deadRowsBefore": 42}, {"table": "hook_executions", "milliseconds": 50, "deadRowsAfter": 81, "deadRowsBefore": 81}, {"table": "success_patterns", "milliseconds": 20, "deadRowsAfter": 34, "deadRowsBefore": 34}], "remaining": []}', 'Analyzed 12 tables in 309ms.', NULL, NULL);
INSERT INTO trace_console.maintenance_runs OVERRIDING SYSTEM VALUE VALUES (4, 'public', 'set-policy', 'Store the retention policy', NULL, '{"window": {"to": "05:00", "from": "01:00", "timeZone": "Europe/Berlin"}, "archiveAfter": "90 days", "pruneUsageAfter": "180 days"}', NULL, 'done', '2026-11-27 14:26:12.277834+00', '2026-11-27 14:26:12.410189+00', '2026-11-27 14:26:12.277834+00', '2026-11-27 14:26:12.410189+00', 'postgres', 'operator', 'workstation', 31802, '127.0.0.1', 'trace-console', '0.1.0', 31839, '{"phase": "storing the policy"}', '{"window": {"to": "05:00", "from": "01:00", "timeZone": "Europe/Berlin"}, "purgeAfter": null, "archiveAfter": "90 days", "pruneUsageAfter": "180 days", "prunePatternsAfter": null}', 'Stored the retention policy of the schema "public".', NULL, NULL);

INSERT INTO trace_console.retention_policies VALUES ('public', '90 days', NULL, '180 days', NULL, '01:00:00', '05:00:00', 'Europe/Berlin', '2026-11-27 14:26:12.281328+00', 'postgres');

INSERT INTO trace_console.schema_files VALUES ('public', '001_execution_traces.sql', '8b12b95ce09f9da78abbcbdbd2b3b7d63105a4ec6ca4e269fa3685e122c51ac8', '2026-11-27 14:25:44.262991+00', 'postgres', '0.1.0');
INSERT INTO trace_console.schema_files VALUES ('public', '002_agent_routing_decisions.sql', '4d6fb34ca8d67ea875b2ee70f9acca1ba8d81c64f60687a9deab09ed14da38b9', '2026-11-27 14:25:44.262991+00', 'postgres', '0.1.0');
INSERT INTO trace_console.schema_files VALUES ('public', '003_hook_executions.sql', 'e8cac8cf26c41ae66049d36b1c2992a405cd57f72517a45909b18ccae709c206', '2026-11-27 14:25:44.262991+00', 'postgres', '0.1.0');
INSERT INTO trace_console.schema_files VALUES ('public', '004_endpoint_calls.sql', '10a531aa4f6839cf3d5db20732df7fe8225b8125ac0571921b591fdf8c1b1914', '2026-11-27 14:25:44.262991+00', 'postgres', '0.1.0');
INSERT INTO trace_console.schema_files VALUES ('public', '005_success_patterns.sql', 'd08ba1cef11eb6b796632fb863963448b8b753dcc86d0a2d309665ab6f37bf3f', '2026-11-27 14:25:44.262991+00', 'postgres', '0.1.0');
INSERT INTO trace_console.schema_files VALUES ('public', '006_pattern_usage_log.sql', '8ad600dc67af454bbd8e424e78564857cc7016dfd4af50bf0d4873a08bf1123f', '2026-11-27 14:25:44.262991+00', 'postgres', '0.1.0');
INSERT INTO trace_console.schema_files VALUES ('public', '007_agent_chaining_patterns.sql', '587395325283ccd4d8440d5030ab2a1409702f91deea28f908fefd089eb9b82b', '2026-11-27 14:25:44.262991+00', 'postgres', '0.1.0');
INSERT INTO trace_console.schema_files VALUES ('public', '008_error_patterns.sql', '8206dad78cccedaa25185716c39886ef51be32e82b13342daacc62c1c8b3eedc', '2026-11-27 14:25:44.262991+00', 'postgres', '0.1.0');
INSERT INTO trace_console.schema_files VALUES ('public', '009_indexes.sql', '5b6015a952ac8f70b04ef09f0111cfe33ee35ad592a5821185b36c0fd47843dc', '2026-11-27 14:25:44.262991+00', 'postgres', '0.1.0');
INSERT INTO trace_console.schema_files VALUES ('public', '010_views.sql', '673b03dd9dbed4e47dbeafae793d32b9340dfc0b604457dca912390ac960fa51', '2026-11-27 14:25:44.262991+00', 'postgres', '0.1.0');
INSERT INTO trace_console.schema_files VALUES ('public', '011_functions.sql', '34064063f31193c4607024f7955b4a8e5043a143ee4c89c5f597e09d99557d81', '2026-11-27 14:25:44.262991+00', 'postgres', '0.1.0');
INSERT INTO trace_console.schema_files VALUES ('public', '012_rls_policies.sql', '8a9f58b0a1f149b241e0a629c0aae3b97912013c31ad5ad023ee35984781dcd7', '2026-11-27 14:25:44.262991+00', 'postgres', '0.1.0');
INSERT INTO trace_console.schema_files VALUES ('public', '013_archive.sql', 'c685d91ca04b9222f508cd2689398cb67196ba7fd87b93c21a930fe6b70fac0e', '2026-11-27 14:25:44.262991+00', 'postgres', '0.1.0');

SELECT pg_catalog.setval('trace_console.maintenance_runs_id_seq', 4, true);

ALTER TABLE ONLY trace_console.maintenance_runs
    ADD CONSTRAINT maintenance_runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY trace_console.retention_policies
    ADD CONSTRAINT retention_policies_pkey PRIMARY KEY (target_schema);

ALTER TABLE ONLY trace_console.schema_files
    ADD CONSTRAINT schema_files_pkey PRIMARY KEY (target_schema, file);

CREATE INDEX maintenance_runs_running ON trace_console.maintenance_runs USING btree (target_schema) WHERE (state = 'running'::text);

ALTER TABLE ONLY trace_console.maintenance_runs
    ADD CONSTRAINT maintenance_runs_resumes_fkey FOREIGN KEY (resumes) REFERENCES trace_console.maintenance_runs(id) ON DELETE SET NULL;

