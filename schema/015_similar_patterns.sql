-- 015: find_similar_patterns compares embeddings of one model only, and gives no answer that is no number.
--
-- Two models put the same prompt in unrelated places: a similarity between them says nothing. The new last parameter
-- names the model of the query. Without it the answer is of the model that the nearest pattern has: between unrelated
-- places similarities stay near 0, so the nearest one is of the query's model wherever that model has a pattern near.
-- An embedding of zeros has no direction; its similarity was NaN, which is above every threshold.
--
-- A parameter more makes another function, so the one of 011 is dropped; who could execute it can execute this one.
-- Where views or functions of others depend on it, the file stops and nothing changes.

DO $migrate$
DECLARE
  path_before text := current_setting('search_path');
  vector_schema text := (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
                         WHERE e.extname = 'vector');
  before regprocedure := to_regprocedure(format('%I.find_similar_patterns(%s.vector, double precision, integer)',
                                                current_schema(), vector_schema));
  granted record;
BEGIN
  -- What has the old name and another body is somebody else's.
  IF before IS NOT NULL
     AND (SELECT md5(prosrc) FROM pg_proc WHERE oid = before) <> '8e906b88030977b75cd31cb34ae1c8c7' THEN
    RETURN;
  END IF;
  IF to_regprocedure(format('%I.find_similar_patterns(%s.vector, double precision, integer, text)',
                            current_schema(), vector_schema)) IS NULL THEN
    PERFORM set_config('search_path', concat_ws(', ', quote_ident(current_schema()),
      NULLIF(vector_schema, quote_ident(current_schema())), 'pg_temp'), true);

    CREATE FUNCTION find_similar_patterns(
      query_embedding vector,
      match_threshold double precision DEFAULT 0.7,   -- the least similarity, -1 to 1
      match_count integer DEFAULT 10,
      embedding_model text DEFAULT NULL               -- of the query; NULL: that of the nearest pattern
    )
    RETURNS TABLE (
      id uuid,
      pattern_hash text,
      similarity double precision,
      intent_classification text,
      prompt_text text,
      keywords text[],
      agent_sequence text[],
      routing_strategy text,
      success_rate numeric(5,4),
      total_usage_count integer,
      confidence_score numeric(5,4),
      avg_duration_ms bigint,
      last_used_at timestamptz
    )
    LANGUAGE plpgsql
    SET search_path FROM CURRENT
    -- A plan for any match_count would be one for a tenth of the table, which is no index scan.
    SET plan_cache_mode = force_custom_plan
    AS $function$
    #variable_conflict use_column
    DECLARE
      names text[] := ARRAY['ivfflat.probes', 'ivfflat.iterative_scan', 'hnsw.ef_search', 'hnsw.iterative_scan',
                            'enable_indexscan'];
      before text[];
      lists integer;
      model text := find_similar_patterns.embedding_model;
      of_one_model boolean := model IS NOT NULL;
      ids uuid[];
      distances double precision[];
      models text[];
    BEGIN
      IF query_embedding IS NULL OR match_count < 1 THEN
        RETURN;
      END IF;
      PERFORM vector_dims(query_embedding);   -- loads the library: before that its settings are unknown

      SELECT max(COALESCE(substring(option FROM '^lists=(\d+)$')::integer, 100)) INTO lists
      FROM pg_index i
      JOIN pg_class c ON c.oid = i.indexrelid
      JOIN pg_am am ON am.oid = c.relam AND am.amname = 'ivfflat'
      LEFT JOIN LATERAL unnest(c.reloptions) AS option ON option LIKE 'lists=%'
      WHERE i.indrelid = 'success_patterns'::regclass AND i.indisvalid;

      SELECT array_agg(current_setting(name, true) ORDER BY n) INTO before
      FROM unnest(names) WITH ORDINALITY AS setting (name, n);
      IF lists IS NOT NULL AND before[1]::integer < ceil(sqrt(lists)) THEN
        PERFORM set_config(names[1], ceil(sqrt(lists))::text, true);
      END IF;
      IF before[2] = 'off' THEN
        PERFORM set_config(names[2], 'relaxed_order', true);
      END IF;
      IF before[3]::integer < GREATEST(100, match_count) THEN
        PERFORM set_config(names[3], LEAST(1000, GREATEST(100, match_count))::text, true);
      END IF;
      IF before[4] = 'off' THEN
        PERFORM set_config(names[4], 'relaxed_order', true);
      END IF;
      IF (SELECT count(*) FROM (SELECT FROM success_patterns LIMIT 1001) AS a_few) <= 1000 THEN
        PERFORM set_config(names[5], 'off', true);
      END IF;

      -- Asked a second time only where the nearest patterns are of more than one model. The threshold stands below:
      -- in here it would be a filter, and make the index scan go on to the end of its probes for patterns that are
      -- not near enough. Relaxed order is put in order as well.
      LOOP
        IF of_one_model THEN
          SELECT array_agg(n.id ORDER BY n.distance, n.id), array_agg(n.distance ORDER BY n.distance, n.id)
          INTO ids, distances
          FROM (
            SELECT p.id, p.prompt_embedding <=> query_embedding AS distance
            FROM success_patterns p
            WHERE p.is_active AND p.prompt_embedding IS NOT NULL AND p.embedding_model IS NOT DISTINCT FROM model
            ORDER BY p.prompt_embedding <=> query_embedding
            LIMIT match_count
          ) AS n
          WHERE n.distance <> 'NaN';
          EXIT;
        END IF;
        SELECT array_agg(n.id ORDER BY n.distance, n.id), array_agg(n.distance ORDER BY n.distance, n.id),
               array_agg(n.embedding_model ORDER BY n.distance, n.id)
        INTO ids, distances, models
        FROM (
          SELECT p.id, p.embedding_model, p.prompt_embedding <=> query_embedding AS distance
          FROM success_patterns p
          WHERE p.is_active AND p.prompt_embedding IS NOT NULL
          ORDER BY p.prompt_embedding <=> query_embedding
          LIMIT match_count
        ) AS n
        WHERE n.distance <> 'NaN';
        model := models[1];
        of_one_model := true;
        EXIT WHEN NOT EXISTS (SELECT FROM unnest(models) AS other WHERE other IS DISTINCT FROM model);
      END LOOP;

      RETURN QUERY
      SELECT p.id, p.pattern_hash, 1 - n.distance, p.intent_classification, p.prompt_text, p.keywords, p.agent_sequence,
             p.routing_strategy, p.success_rate, p.total_usage_count, p.confidence_score, p.avg_duration_ms, p.last_used_at
      FROM unnest(ids, distances) AS n (id, distance)
      JOIN success_patterns p ON p.id = n.id
      WHERE 1 - n.distance >= match_threshold
      ORDER BY n.distance, p.id;

      PERFORM set_config(name, before[n], true)
      FROM unnest(names) WITH ORDINALITY AS setting (name, n)
      WHERE before[n] IS NOT NULL;
    END
    $function$;

    COMMENT ON FUNCTION find_similar_patterns(vector, double precision, integer, text) IS
      'The active patterns nearest to an embedding, of one embedding model, with their cosine similarity, nearest first';
    -- PUBLIC may execute a new function, and default privileges (Supabase has some) may have given it to others.
    FOR granted IN
      SELECT DISTINCT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END AS role
      FROM pg_proc p, aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS acl
      WHERE p.oid = 'find_similar_patterns(vector, double precision, integer, text)'::regprocedure
        AND acl.grantee <> p.proowner
    LOOP
      EXECUTE format('REVOKE ALL ON FUNCTION find_similar_patterns(vector, double precision, integer, text) FROM %s',
                     granted.role);
    END LOOP;
    FOR granted IN
      SELECT DISTINCT acl.grantee::regrole AS role FROM pg_proc p, aclexplode(p.proacl) AS acl
      WHERE p.oid = before AND acl.grantee <> 0 AND acl.grantee <> p.proowner
    LOOP
      EXECUTE format('GRANT EXECUTE ON FUNCTION find_similar_patterns(vector, double precision, integer, text) TO %s',
                     granted.role);
    END LOOP;
    PERFORM set_config('search_path', path_before, true);
  END IF;
  IF before IS NOT NULL THEN
    EXECUTE format('DROP FUNCTION %s', before);
  END IF;
END
$migrate$;
