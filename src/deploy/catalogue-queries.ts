/** `name(argument types)` of the row `p` of pg_proc, whatever schema the type `vector` lives in. */
export const functionName = `(p.proname || '(' || regexp_replace(
  pg_get_function_identity_arguments(p.oid), '("[^"]+"|\\m\\w+)\\.vector\\M', 'vector', 'g'
) || ')')`;

/**
 * What a schema holds, a statement a component. `$1` is the schema's name; each gives one row with
 * one column `objects`: a JSON object by name. Objects that belong to an extension are left out.
 */
export const catalogueQueries = {
  tables: `
    SELECT json_object_agg(c.relname, json_build_object(
      'columns', (
        SELECT COALESCE(json_object_agg(a.attname, json_build_object(
          'type', regexp_replace(format_type(a.atttypid, a.atttypmod), '^[^(]*\\.', ''),
          'notNull', a.attnotnull,
          'default', pg_get_expr(d.adbin, d.adrelid),
          'generated', a.attgenerated <> ''
        ) ORDER BY a.attnum), '{}')
        FROM pg_attribute AS a
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      ),
      'constraints', (
        SELECT COALESCE(json_agg(definition ORDER BY definition), '[]')
        FROM pg_constraint AS k,
          replace(pg_get_constraintdef(k.oid), quote_ident($1) || '.', '') AS definition
        WHERE k.conrelid = c.oid AND k.contype IN ('f', 'c')
      ),
      'rowSecurity', c.relrowsecurity
    ) ORDER BY c.relname) AS objects
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')`,

  indexes: `
    SELECT json_object_agg(i.relname, json_build_object(
      'table', t.relname,
      'definition', replace(
        pg_get_indexdef(x.indexrelid),
        ' ON ' || quote_ident($1) || '.', ' ON '
      ),
      'unique', x.indisunique,
      'primary', x.indisprimary,
      'valid', x.indisvalid AND x.indisready
    ) ORDER BY t.relname, i.relname) AS objects
    FROM pg_index AS x
    JOIN pg_class AS i ON i.oid = x.indexrelid
    JOIN pg_class AS t ON t.oid = x.indrelid
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE n.nspname = $1 AND t.relkind IN ('r', 'p', 'm')`,

  views: `
    SELECT json_object_agg(c.relname, json_build_object(
      'columns', (
        SELECT json_object_agg(a.attname,
          regexp_replace(format_type(a.atttypid, a.atttypmod), '^[^(]*\\.', '') ORDER BY a.attnum)
        FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      ),
      'securityInvoker', EXISTS (
        SELECT FROM pg_options_to_table(c.reloptions)
        WHERE option_name = 'security_invoker' AND option_value IN ('true', 'on', '1', 'yes')
      )
    ) ORDER BY c.relname) AS objects
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind = 'v'
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')`,

  functions: `
    SELECT json_object_agg(${functionName}, json_build_object(
      'result', regexp_replace(
        pg_get_function_result(p.oid), '("[^"]+"|\\m\\w+)\\.vector\\M', 'vector', 'g'
      ),
      'bodyHash', md5(p.prosrc),
      'securityDefiner', p.prosecdef,
      'public', EXISTS (
        SELECT FROM aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) AS acl
        WHERE acl.grantee = 0 AND acl.privilege_type = 'EXECUTE'
      )
    ) ORDER BY ${functionName}) AS objects
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = $1
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')`,

  triggers: `
    SELECT json_object_agg(c.relname || '.' || t.tgname, json_build_object(
      'function', p.proname,
      'type', t.tgtype,
      'arguments', encode(t.tgargs, 'escape'),
      'enabled', t.tgenabled IN ('O', 'A')
    ) ORDER BY c.relname, t.tgname) AS objects
    FROM pg_trigger AS t
    JOIN pg_class AS c ON c.oid = t.tgrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_proc AS p ON p.oid = t.tgfoid
    WHERE n.nspname = $1 AND NOT t.tgisinternal`,

  policies: `
    SELECT json_object_agg(tablename || '.' || policyname, json_build_object(
      'command', cmd,
      'roles', roles::text[],
      'using', qual,
      'check', with_check
    ) ORDER BY tablename, policyname) AS objects
    FROM pg_policies WHERE schemaname = $1`,

  extensions: `
    SELECT json_object_agg(extname, extversion ORDER BY extname) AS objects
    FROM pg_extension WHERE $1::text IS NOT NULL`,

  relations: `
    SELECT json_object_agg(c.relname, c.relkind ORDER BY c.relname) AS objects
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind NOT IN ('i', 'I', 't', 'c')
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')
      AND NOT EXISTS (
        SELECT FROM pg_depend AS owned
        WHERE owned.objid = c.oid AND owned.deptype IN ('a', 'i') AND c.relkind = 'S'
      )`,
} as const;
