-- name: insert_processor
INSERT INTO processors (name, contract_text, version_identity, entry, recorded_at)
VALUES (:name, :contract_text, :version_identity, :entry, :recorded_at);

-- name: select_processors
SELECT name, contract_text, version_identity, recorded_at, entry FROM processors ORDER BY processor;

-- name: select_contract_texts
SELECT DISTINCT contract_text FROM processors;

-- name: revoke_keys
UPDATE feed_keys SET ends_at = :ends_at WHERE processor = :processor AND (ends_at IS NULL OR ends_at > :ends_at);

-- name: insert_key
INSERT INTO feed_keys (processor, hash, issued_at) VALUES (:processor, :hash, :issued_at);

-- name: select_key_end
SELECT ends_at FROM feed_keys WHERE processor = :processor AND hash = :hash;

-- name: insert_page
INSERT INTO feed_pages (processor, reference, contract_hash, version, position, records, deletions, provided_at, entry)
VALUES (:processor, :reference, :contract_hash, :version, :position, :records, :deletions, :provided_at, :entry);

-- name: select_position
SELECT position FROM feed_pages WHERE processor = :processor AND reference = :reference;

-- name: acknowledge_pages
UPDATE feed_pages SET acknowledged_at = :now
WHERE processor = :processor AND acknowledged_at IS NULL
  AND page <= (SELECT page FROM feed_pages WHERE processor = :processor AND reference = :reference);

-- name: select_pages
SELECT processor, reference, contract_hash, version, position, records, deletions, provided_at, acknowledged_at
FROM feed_pages WHERE processor = :processor ORDER BY page;

-- name: select_acknowledged_until
SELECT max(provided_at) FROM feed_pages WHERE processor = :processor AND acknowledged_at IS NOT NULL;

-- name: select_first_provided_at
SELECT provided_at FROM feed_pages WHERE processor = :processor ORDER BY page LIMIT 1;

-- name: select_later_acknowledged_page
SELECT 1 FROM feed_pages
WHERE processor = :processor AND acknowledged_at IS NOT NULL
  AND page > (SELECT page FROM feed_pages WHERE processor = :processor AND reference = :reference)
LIMIT 1;

-- name: select_last_acknowledged
SELECT reference FROM feed_pages
WHERE processor = :processor AND acknowledged_at IS NOT NULL ORDER BY page DESC LIMIT 1;

-- name: select_processors_with_feed
SELECT DISTINCT processor FROM feed_pages
WHERE processor IN (
    SELECT name FROM processors
    WHERE contract_text <> '' AND processor IN (SELECT max(processor) FROM processors GROUP BY name)
);
