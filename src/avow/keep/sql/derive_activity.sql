-- What those in `anew` did: each deed (by its row in `requests`) with the visit that it belongs to.
-- A visit is a visitor's activity (views, downloads, uploads) with no gap over $gap_minutes: docs/concepts.md.
-- A visitor's key lives for one event-day, so nothing further than the longest day ($rows_from, $rows_to) belongs to
-- what came in now.
-- `tie` puts deeds of the same moment in an order that they bear themselves, so that the order of loading never shows.
CREATE OR REPLACE TEMP TABLE activity AS
WITH chosen AS (
    SELECT rowid AS deed, visitor_id, request_time, request_kind, page_path, version, governing,
           hash(page_path, status, referrer) AS tie
    FROM requests
    WHERE request_kind IN ('view', 'download', 'upload') AND bot IS NULL
        AND request_time >= $rows_from AND request_time < $rows_to
        AND visitor_id IN (SELECT visitor_id FROM anew)
),
gaps AS (
    SELECT *, coalesce(
        request_time - lag(request_time) OVER (PARTITION BY visitor_id ORDER BY request_time)
        > to_minutes($gap_minutes), true) AS starts
    FROM chosen
)
-- The window's frame takes in what bears the same time.
SELECT * EXCLUDE (starts), max(CASE WHEN starts THEN request_time END) OVER (
    PARTITION BY visitor_id ORDER BY request_time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS visit_time
FROM gaps
