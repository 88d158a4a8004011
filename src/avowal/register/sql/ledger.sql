-- Bodies, hashes and notes are read as bytes or text, whatever type a tampered column has.

-- name: insert_entry
INSERT INTO entries (entry, body, access_reader, access_salt)
VALUES ((SELECT coalesce(max(entry), -1) + 1 FROM entries), :body, :access_reader, :access_salt);

-- name: select_entries_from
SELECT entry, CAST(body AS BLOB) FROM entries WHERE entry >= :first ORDER BY entry;

-- name: select_bodies_between
SELECT CAST(body AS BLOB) FROM entries WHERE entry >= :first AND entry < :end ORDER BY entry;

-- name: select_last_entries_of_kind
SELECT entry, CAST(body AS BLOB) FROM entries WHERE instr(body, :kind) ORDER BY entry DESC LIMIT :count;

-- name: select_last_entry_number
SELECT max(entry) FROM entries;

-- name: select_accesses_from
SELECT entry, access_reader, CAST(body AS BLOB) FROM entries
WHERE entry >= :first AND access_reader IS NOT NULL AND CAST(body AS BLOB) >= :since ORDER BY entry;

-- name: select_newest_entries
SELECT access_reader, CAST(body AS BLOB) FROM entries ORDER BY entry DESC;

-- name: select_access_readers
SELECT entry, access_reader, CAST(access_salt AS BLOB) FROM entries
WHERE access_reader IS NOT NULL OR access_salt IS NOT NULL ORDER BY entry;

-- name: insert_node
INSERT INTO nodes (level, position, hash) VALUES (?, ?, ?);

-- name: select_node
SELECT CAST(hash AS BLOB) FROM nodes WHERE level = :level AND position = :position;

-- name: select_nodes_of_level
SELECT position, CAST(hash AS BLOB) FROM nodes WHERE level = :level ORDER BY position;

-- name: select_has_nodes_from
SELECT EXISTS (SELECT 1 FROM nodes WHERE level >= :level);

-- name: select_hashes_between
SELECT CAST(hash AS BLOB) FROM nodes
WHERE level = :level AND position >= :first AND position < :end ORDER BY position;

-- name: select_last_leaf_position
SELECT max(position) FROM nodes WHERE level = 0;

-- name: insert_checkpoint
INSERT INTO checkpoints (size, note) VALUES (:size, :note);

-- name: update_checkpoint
UPDATE checkpoints SET note = :note WHERE size = :size;

-- name: select_checkpoint
SELECT note FROM checkpoints WHERE size = :size;

-- name: select_checkpoints
SELECT note FROM checkpoints ORDER BY size;

-- name: select_last_checkpoint
SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1;

-- name: select_is_used
SELECT EXISTS (SELECT 1 FROM checkpoints) OR EXISTS (SELECT 1 FROM seals);
