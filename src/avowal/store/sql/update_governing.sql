-- Take over what consents say of the visitors in `governing_updates`, who gave or withdrew consent (0 is none), and list
-- the visitors whose records may need another governing number: those, and visitors with consents whose new records were
-- loaded. `consented_version` is 0 for a visitor without consent.
DELETE FROM visitor_governing WHERE visitor_id IN (SELECT visitor_id FROM governing_updates WHERE governing = 0);

INSERT OR REPLACE INTO visitor_governing SELECT visitor_id, governing FROM governing_updates WHERE governing > 0;

CREATE OR REPLACE TEMP TABLE consenting_visitors AS
SELECT visitor_id, coalesce(visitor_governing.governing, 0) AS consented_version
FROM (
    SELECT visitor_id FROM governing_updates
    UNION
    SELECT visitor_id
    FROM (SELECT visitor_id, load_number FROM collected_records UNION ALL SELECT visitor_id, load_number FROM events)
    WHERE load_number > (SELECT last_load FROM derivation_state)
        AND visitor_id IN (SELECT visitor_id FROM visitor_governing)
)
LEFT JOIN visitor_governing USING (visitor_id);

DROP TABLE governing_updates;
