-- Bring the governing numbers in line with what visitors consented to: of those in `raising`, who gave or took back
-- consent (0 is none), and of those whose new records came in. Whatever changes makes views and visits stale.
DELETE FROM consents WHERE visitor_id IN (SELECT visitor_id FROM raising WHERE governing = 0);

INSERT OR REPLACE INTO consents SELECT visitor_id, governing FROM raising WHERE governing > 0;

CREATE OR REPLACE TEMP TABLE governs AS
SELECT DISTINCT visitor_id, version, greatest(version, coalesce(consents.governing, 0)) AS governing
FROM (
    SELECT DISTINCT visitor_id, version, governing AS before
    FROM (SELECT visitor_id, version, governing, load FROM told
          UNION ALL SELECT visitor_id, version, governing, load FROM interactions)
    WHERE visitor_id IN (SELECT visitor_id FROM raising)
       OR (load > (SELECT through FROM derived) AND visitor_id IN (SELECT visitor_id FROM consents))
)
LEFT JOIN consents USING (visitor_id)
WHERE before <> greatest(version, coalesce(consents.governing, 0));

INSERT INTO stale
SELECT visitor_id, told_at FROM told JOIN governs USING (visitor_id, version)
WHERE told.governing <> governs.governing;

INSERT INTO changed BY NAME
SELECT 'requests' AS relation, record FROM requests JOIN governs USING (visitor_id, version)
UNION ALL SELECT 'looks', record FROM looks JOIN governs USING (visitor_id, version)
UNION ALL SELECT 'interactions', record FROM interactions JOIN governs USING (visitor_id, version);

UPDATE requests SET governing = governs.governing FROM governs
WHERE requests.visitor_id = governs.visitor_id AND requests.version = governs.version;

UPDATE looks SET governing = governs.governing FROM governs
WHERE looks.visitor_id = governs.visitor_id AND looks.version = governs.version;

UPDATE interactions SET governing = governs.governing FROM governs
WHERE interactions.visitor_id = governs.visitor_id AND interactions.version = governs.version;

DROP TABLE governs;
DROP TABLE raising;
