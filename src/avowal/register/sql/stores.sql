-- name: select_version
SELECT store_id, generation FROM stores;

-- name: note_version
INSERT INTO stores (store, store_id, generation) VALUES (1, :store_id, :generation)
ON CONFLICT (store) DO UPDATE SET generation = excluded.generation
WHERE store_id = excluded.store_id AND generation < excluded.generation;

-- name: replace_version
INSERT INTO stores (store, store_id, generation) VALUES (1, :store_id, :generation)
ON CONFLICT (store) DO UPDATE SET store_id = excluded.store_id, generation = excluded.generation;

-- name: note_journal
INSERT INTO journals (name) VALUES (:name);

-- name: select_journals
SELECT name FROM journals;

-- name: forget_journal
DELETE FROM journals WHERE name = :name;
