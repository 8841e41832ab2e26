-- 001: the two extensions, the trigger function of all tables, and the traces themselves.
--
-- Every file of this folder runs by itself or concatenated, in autocommit or in one transaction, into the
-- first schema of search_path. Run again it changes nothing and takes no lock that a reader or writer
-- would notice: what exists is looked up in the catalogue first.

-- An extension that is there already stays in its schema (Supabase keeps them in "extensions").
CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public;
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

-- Keeps the columns true that follow from others. One function serves all eight tables; the trigger's
-- argument says where a row's outcome is read:
--   (none)         the row has no outcome: only updated_at
--   'status'       in_progress is open, completed is a success, every other status is a failure
--   'status_code'  an HTTP answer below 400 is a success; an error_type without an answer is a failure
--
-- What the writer gives wins. On UPDATE a column counts as given when its value changes.
--   completed_at   an outcome without an end: started_at + duration_ms, else this moment
--   duration_ms    from start to end, and it follows them while it is what they say
--   success        the outcome, and again when status, status_code or error_type changes
-- A row that is opened again (status back to in_progress) loses its end, duration and success.
--
-- Fields are named only in the branch of the tables that have them: plpgsql resolves an expression when it
-- first runs it. No row is refused here: infinite times and absurd durations are left as they are.
--
-- An archived tree comes back as it was, whatever its columns lack, under
-- SET LOCAL trace_console.restoring = on.
--
-- 5 microseconds a row. No SET search_path: everything named here is in pg_catalog, the function runs with
-- the writer's own rights, and the clause would add 3 microseconds to every row written.
CREATE OR REPLACE FUNCTION maintain_derived_columns() RETURNS trigger
LANGUAGE plpgsql
AS $function$
DECLARE
  outcome boolean;                 -- NULL while the work runs
  outcome_changed boolean := true;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    NEW.updated_at := now();
  END IF;
  IF TG_NARGS = 0 OR (TG_OP = 'INSERT' AND current_setting('trace_console.restoring', true) = 'on') THEN
    RETURN NEW;
  END IF;

  IF TG_ARGV[0] = 'status' THEN
    outcome := CASE WHEN NEW.status <> 'in_progress' THEN NEW.status = 'completed' END;
    IF TG_OP = 'UPDATE' THEN
      outcome_changed := NEW.status IS DISTINCT FROM OLD.status;
    END IF;
  ELSE
    outcome := CASE WHEN NEW.status_code IS NOT NULL THEN NEW.status_code < 400
                    WHEN NEW.error_type <> '' THEN false END;
    IF TG_OP = 'UPDATE' THEN
      outcome_changed := (NEW.status_code, NEW.error_type) IS DISTINCT FROM (OLD.status_code, OLD.error_type);
    END IF;
  END IF;

  IF TG_OP = 'INSERT' THEN
    NEW.success := COALESCE(NEW.success, outcome);
  ELSIF outcome_changed THEN
    IF NEW.success IS NOT DISTINCT FROM OLD.success THEN
      NEW.success := outcome;
    END IF;
    IF outcome IS NULL THEN
      IF NEW.completed_at IS NOT DISTINCT FROM OLD.completed_at THEN
        NEW.completed_at := NULL;
      END IF;
      IF NEW.duration_ms IS NOT DISTINCT FROM OLD.duration_ms THEN
        NEW.duration_ms := NULL;
      END IF;
    END IF;
  END IF;

  IF outcome IS NOT NULL AND NEW.completed_at IS NULL THEN
    -- Within ten years of duration and of the year 9999 the sum cannot leave timestamptz's range.
    IF NEW.duration_ms BETWEEN 0 AND 315360000000 AND NEW.started_at < '9999-01-01' THEN
      NEW.completed_at := NEW.started_at + NEW.duration_ms * interval '1 millisecond';
    ELSE
      -- clock_timestamp(): work that starts and ends in one transaction has a duration too.
      NEW.completed_at := GREATEST(clock_timestamp(), NEW.started_at);
    END IF;
  END IF;

  -- A duration that was derived follows corrected times; one that the writer measured stays.
  IF TG_OP = 'UPDATE'
     AND NEW.duration_ms = OLD.duration_ms
     AND (NEW.started_at, NEW.completed_at) IS DISTINCT FROM (OLD.started_at, OLD.completed_at)
     AND isfinite(OLD.started_at) AND isfinite(OLD.completed_at)
     AND OLD.duration_ms = GREATEST(0, round(1000 * (date_part('epoch', OLD.completed_at)
                                                     - date_part('epoch', OLD.started_at)))) THEN
    NEW.duration_ms := NULL;
  END IF;
  IF NEW.duration_ms IS NULL AND isfinite(NEW.started_at) AND isfinite(NEW.completed_at) THEN
    NEW.duration_ms := GREATEST(0, round(1000 * (date_part('epoch', NEW.completed_at)
                                                 - date_part('epoch', NEW.started_at))));
  END IF;
  RETURN NEW;
END
$function$;

REVOKE ALL ON FUNCTION maintain_derived_columns() FROM PUBLIC;

-- One row a request: a user's prompt, or the part of it that an agent delegated. The traces of one request
-- form a tree: root_id and parent_id hold the correlation_id of the root and of the parent. They are no
-- foreign keys, because a child's row may be written before its parent's.
CREATE TABLE IF NOT EXISTS execution_traces (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),

  correlation_id uuid NOT NULL UNIQUE,
  root_id uuid NOT NULL,                      -- a root's own correlation_id
  parent_id uuid,                             -- the parent's correlation_id, not its id
  session_id uuid NOT NULL,
  user_id text CHECK (char_length(user_id) <= 512),
  project text CHECK (char_length(project) <= 512),

  source text NOT NULL,                       -- user_prompt, agent_delegation, hook_trigger, …
  prompt_text text,
  status text NOT NULL DEFAULT 'in_progress'
    CHECK (status IN ('in_progress', 'completed', 'failed', 'cancelled', 'timeout')),
  success boolean,
  error_type text,
  error_message text,

  model text,
  provider text,
  input_tokens bigint,
  output_tokens bigint,
  cache_read_tokens bigint,
  cache_creation_tokens bigint,
  cost_usd numeric(14,6),

  context jsonb NOT NULL DEFAULT '{}',
  -- No element over 512 characters: the cast cuts longer ones, and the arrays differ.
  tags text[] NOT NULL DEFAULT '{}' CHECK (tags::varchar(512)[]::text[] = tags),

  started_at timestamptz NOT NULL DEFAULT now(),
  completed_at timestamptz,
  duration_ms bigint
);

DO $trigger$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger
                 WHERE tgrelid = format('%I.execution_traces', current_schema())::regclass
                   AND tgname = 'execution_traces_derived_columns') THEN
    -- A same-named table of another shape stops the file here, before the trigger could break its writers.
    PERFORM updated_at, started_at, completed_at, duration_ms, success, status FROM execution_traces LIMIT 0;
    CREATE TRIGGER execution_traces_derived_columns BEFORE INSERT OR UPDATE ON execution_traces
      FOR EACH ROW EXECUTE FUNCTION maintain_derived_columns('status');
    COMMENT ON TABLE execution_traces IS
      'One row a request of a user or a delegation to an agent; root_id and parent_id are correlation_ids';
  END IF;
END
$trigger$;
