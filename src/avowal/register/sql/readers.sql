-- name: insert_reader
INSERT INTO readers (name, purposes, can_disclose, is_automated, recorded_at)
VALUES (:name, :purposes, :can_disclose, :is_automated, :recorded_at);

-- name: select_readers
SELECT name, purposes, can_disclose, is_automated FROM readers ORDER BY reader;

-- name: select_reader
SELECT purposes, is_automated FROM readers WHERE name = :name ORDER BY reader DESC LIMIT 1;

-- name: select_purpose_history
SELECT name, purposes, recorded_at FROM readers ORDER BY reader;

-- name: count_access
INSERT INTO access_counts (day, reader, purpose, accesses) VALUES (:day, :reader, :purpose, 1)
ON CONFLICT DO UPDATE SET accesses = accesses + 1;

-- name: select_access_counts
SELECT day, reader, purpose, accesses FROM access_counts WHERE day >= :since ORDER BY day DESC, reader, purpose;

-- name: delete_password
DELETE FROM passwords WHERE name = :name;

-- name: insert_password
INSERT INTO passwords (name, salt, hash, recorded_at) VALUES (:name, :salt, :hash, :recorded_at);

-- name: select_password
SELECT salt, hash FROM passwords WHERE name = :name;
