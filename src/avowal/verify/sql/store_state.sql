-- What `avowal verify` reads from the store.

-- name: store_schema
-- The columns and constraints of each table, and the SQL of each view, macro, type, sequence and index.
WITH items AS (
    SELECT database_name, schema_name, table_name AS name, column_name AS part,
           concat_ws(' ', data_type, if(is_nullable, NULL, 'NOT NULL'), column_default) AS text
    FROM duckdb_columns() WHERE NOT internal
    UNION ALL
    SELECT database_name, schema_name, table_name, 'constraint', constraint_text FROM duckdb_constraints()
    UNION ALL
    SELECT database_name, schema_name, view_name, 'view', sql FROM duckdb_views() WHERE NOT internal
    UNION ALL
    SELECT database_name, schema_name, function_name, 'macro', concat(CAST(parameters AS VARCHAR), ' ', macro_definition)
    FROM duckdb_functions() WHERE NOT internal
    UNION ALL
    SELECT database_name, schema_name, type_name, 'type', CAST(labels AS VARCHAR) FROM duckdb_types() WHERE NOT internal
    UNION ALL
    SELECT database_name, schema_name, sequence_name, 'sequence', concat_ws(' ', increment_by, min_value, max_value, cycle)
    FROM duckdb_sequences()
    UNION ALL
    SELECT database_name, schema_name, index_name, 'index', sql FROM duckdb_indexes()
)
SELECT if(schema_name = 'main', name, concat_ws('.', schema_name, name)), part, text FROM items
WHERE database_name = current_database() ORDER BY ALL;

-- name: column_count
SELECT count(*) AS columns FROM duckdb_columns() WHERE NOT internal AND database_name = current_database();

-- name: sequences
-- The last value of each sequence, and the greatest that was taken from it.
SELECT sequence_name, coalesce(last_value, 0) AS last_value, CASE sequence_name
    WHEN 'load_numbers' THEN (SELECT max(load_number) FROM collected_records)
    WHEN 'change_numbers' THEN (SELECT max(change_number) FROM record_changes)
    WHEN 'retention_run_numbers' THEN (SELECT max(run_number) FROM retention_removals)
END AS greatest_taken
FROM duckdb_sequences() WHERE database_name = current_database();
