-- name: select_seal
SELECT sealed FROM seals;

-- name: replace_seal
INSERT INTO seals (seal, sealed) VALUES (1, :sealed) ON CONFLICT (seal) DO UPDATE SET sealed = excluded.sealed;

-- name: select_columns
SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%' ORDER BY tables.name, columns.cid;
