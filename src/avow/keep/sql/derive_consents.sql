-- Bring the governing numbers in line with what visitors consented to: of those in `raising`, who gave or took back
-- consent (0 is none), and of those whose new records came in. Whatever changes makes views and visits stale.
DELETE FROM consents WHERE visitor_id IN (SELECT visitor_id FROM raising WHERE governing = 0);

INSERT OR REPLACE INTO consents SELECT visitor_id, governing FROM raising WHERE governing > 0;

CREATE OR REPLACE TEMP TABLE governs AS
SELECT requests.rowid AS record, greatest(requests.version, coalesce(consents.governing, 0)) AS governing
FROM requests
LEFT JOIN consents USING (visitor_id)
WHERE (requests.visitor_id IN (SELECT visitor_id FROM raising)
       OR (requests.load > (SELECT through FROM derived) AND consents.governing IS NOT NULL))
    AND requests.governing <> greatest(requests.version, coalesce(consents.governing, 0));

INSERT INTO stale
SELECT visitor_id, request_time FROM requests WHERE rowid IN (SELECT record FROM governs);

UPDATE requests SET governing = governs.governing FROM governs WHERE requests.rowid = governs.record;

DROP TABLE governs;
DROP TABLE raising;
