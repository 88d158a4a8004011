-- Bring governing numbers in line with consents: for the visitors in `governing_updates`, who gave or withdrew consent
-- (0 is none), and for visitors with consents whose new records were loaded. What changes makes views and visits stale.
DELETE FROM visitor_governing WHERE visitor_id IN (SELECT visitor_id FROM governing_updates WHERE governing = 0);

INSERT OR REPLACE INTO visitor_governing SELECT visitor_id, governing FROM governing_updates WHERE governing > 0;

CREATE OR REPLACE TEMP TABLE governing_changes AS
SELECT DISTINCT visitor_id, version, greatest(version, coalesce(visitor_governing.governing, 0)) AS governing
FROM (
    SELECT DISTINCT visitor_id, version, governing AS previous_governing
    FROM (SELECT visitor_id, version, governing, load_number FROM collected_records
          UNION ALL SELECT visitor_id, version, governing, load_number FROM events)
    WHERE visitor_id IN (SELECT visitor_id FROM governing_updates)
       OR (load_number > (SELECT last_load FROM derivation_state)
           AND visitor_id IN (SELECT visitor_id FROM visitor_governing))
)
LEFT JOIN visitor_governing USING (visitor_id)
WHERE previous_governing <> greatest(version, coalesce(visitor_governing.governing, 0));

INSERT INTO stale_visitors
SELECT visitor_id, record_time FROM collected_records JOIN governing_changes USING (visitor_id, version)
WHERE collected_records.governing <> governing_changes.governing;

INSERT INTO record_changes BY NAME
SELECT 'requests' AS relation, record_number FROM requests JOIN governing_changes USING (visitor_id, version)
UNION ALL SELECT 'script_views', record_number FROM script_views JOIN governing_changes USING (visitor_id, version)
UNION ALL SELECT 'events', record_number FROM events JOIN governing_changes USING (visitor_id, version);

UPDATE requests SET governing = changes.governing FROM governing_changes AS changes
WHERE requests.visitor_id = changes.visitor_id AND requests.version = changes.version;

UPDATE script_views SET governing = changes.governing FROM governing_changes AS changes
WHERE script_views.visitor_id = changes.visitor_id AND script_views.version = changes.version;

UPDATE events SET governing = changes.governing FROM governing_changes AS changes
WHERE events.visitor_id = changes.visitor_id AND events.version = changes.version;

DROP TABLE governing_changes;
DROP TABLE governing_updates;
