-- name: select_keys
SELECT name, fingerprint FROM known_keys;

-- name: note_key
INSERT INTO known_keys (name, fingerprint) VALUES (:name, :fingerprint) ON CONFLICT (name) DO NOTHING;

-- name: forget_key
DELETE FROM known_keys WHERE name = :name;
