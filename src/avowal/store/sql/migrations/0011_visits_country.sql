-- The country that a visit came from, of what is there already too.
ALTER TABLE visits ADD COLUMN country VARCHAR;

INSERT INTO stale
SELECT visitor_id, min(told_at) FROM (
    SELECT visitor_id, request_time AS told_at FROM requests WHERE country IS NOT NULL
    UNION ALL
    SELECT visitor_id, view_time FROM looks WHERE country IS NOT NULL
)
WHERE visitor_id IS NOT NULL
GROUP BY visitor_id;
