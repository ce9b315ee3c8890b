WITH
spaces AS (
    SELECT oid, CASE nspname WHEN 'public' THEN '' ELSE nspname || '.' END AS prefix
    FROM pg_namespace
    WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
),
foreign_to_us AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
tables AS (
    SELECT c.oid, s.prefix || c.relname AS t
    FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p')
      AND NOT EXISTS (SELECT 1 FROM foreign_to_us f WHERE f.classid = 'pg_class'::regclass AND f.objid = c.oid)
)
SELECT json_build_object(
    'columns', coalesce((
        SELECT json_agg(json_build_object(
            't', t.t, 'name', a.attname, 'kind', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
            'def', pg_get_expr(d.adbin, d.adrelid),
            'extra', concat_ws(' ', CASE a.attidentity WHEN 'a' THEN 'identity always' WHEN 'd' THEN 'identity' END,
                CASE a.attgenerated WHEN 's' THEN 'generated stored' END)
        ) ORDER BY t.t, a.attnum)
        FROM tables t
        LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    ), '[]'::json),
    'constraints', coalesce((
        SELECT json_agg(json_build_object(
            't', t.t, 'name', c.conname, 'kind', c.contype, 'def', pg_get_constraintdef(c.oid),
            'columns', coalesce((
                SELECT json_agg(a.attname ORDER BY k.n)
                FROM unnest(c.conkey) WITH ORDINALITY AS k(num, n)
                JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num
            ), '[]'::json)
        ) ORDER BY t.t, c.conname)
        FROM tables t JOIN pg_constraint c ON c.conrelid = t.oid
        WHERE c.contype NOT IN ('t', 'n')
    ), '[]'::json),
    'indexes', coalesce((
        SELECT json_agg(json_build_object('t', t.t, 'name', c.relname, 'def', pg_get_indexdef(i.indexrelid)))
        FROM tables t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class c ON c.oid = i.indexrelid
        WHERE NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
    ), '[]'::json),
    'others', coalesce((
        SELECT json_agg(json_build_object('name', o.name, 'def', coalesce(o.def, '')) ORDER BY o.name)
        FROM (
            SELECT CASE c.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || s.prefix || c.relname AS name,
                pg_get_viewdef(c.oid) AS def, 'pg_class'::regclass AS class, c.oid AS oid
            FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace WHERE c.relkind IN ('v', 'm')
            UNION ALL
            SELECT 'sequence ' || s.prefix || c.relname, format_type(q.seqtypid, NULL) || ' by ' || q.seqincrement,
                'pg_class'::regclass, c.oid
            FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace JOIN pg_sequence q ON q.seqrelid = c.oid
            UNION ALL
            SELECT 'trigger ' || g.tgname || ' on ' || t.t, pg_get_triggerdef(g.oid), 'pg_trigger'::regclass, g.oid
            FROM pg_trigger g JOIN tables t ON t.oid = g.tgrelid WHERE NOT g.tgisinternal
            UNION ALL
            SELECT 'type ' || s.prefix || y.typname,
                (SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = y.oid),
                'pg_type'::regclass, y.oid
            FROM pg_type y JOIN spaces s ON s.oid = y.typnamespace WHERE y.typtype IN ('e', 'd', 'r')
            UNION ALL
            SELECT 'function ' || s.prefix || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
                CASE WHEN p.prokind = 'a' THEN '' ELSE pg_get_functiondef(p.oid) END, 'pg_proc'::regclass, p.oid
            FROM pg_proc p JOIN spaces s ON s.oid = p.pronamespace
            UNION ALL
            SELECT 'extension ' || e.extname, e.extversion, 'pg_extension'::regclass, e.oid
            FROM pg_extension e WHERE e.extname <> 'plpgsql'
        ) o
        WHERE NOT EXISTS (SELECT 1 FROM foreign_to_us f WHERE f.classid = o.class AND f.objid = o.oid)
    ), '[]'::json),
    'faults', coalesce((
        SELECT json_agg(f.text ORDER BY f.text)
        FROM (
            SELECT 'index ' || c.relname || ' is invalid' AS text
            FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN tables t ON t.oid = i.indrelid
            WHERE NOT i.indisvalid
            UNION ALL
            SELECT 'constraint ' || c.conname || ' of ' || t.t || ' was never checked'
            FROM pg_constraint c JOIN tables t ON t.oid = c.conrelid WHERE NOT c.convalidated
        ) f
    ), '[]'::json)
)::text;
