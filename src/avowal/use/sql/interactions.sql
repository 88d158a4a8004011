, done AS (
    SELECT * FROM interactions
    WHERE interaction_time >= $since AND interaction_time < $until
        AND ($host IS NULL OR host GLOB $host)
        AND ($page IS NULL OR page_path GLOB $page)
        AND (coalesce($referrer, $browser, $system, $device) IS NULL
             OR visitor_id IN (SELECT visitor_id FROM visits_chosen))
),
named AS (
    SELECT 'download' AS kind, download AS what, * FROM done WHERE download IS NOT NULL
    UNION ALL BY NAME
    SELECT 'link to another site' AS kind, outbound_link AS what, * FROM done WHERE outbound_link IS NOT NULL
    UNION ALL BY NAME
    SELECT 'upload' AS kind, page_path AS what, * FROM done WHERE upload_bytes IS NOT NULL
    UNION ALL BY NAME
    SELECT 'event' AS kind, event AS what, * FROM done WHERE event IS NOT NULL
)
SELECT kind, what, count(*) AS times, count(DISTINCT visitor_id) AS day_visitors, sum(upload_bytes)::UBIGINT AS bytes
FROM named
GROUP BY kind, what
HAVING $smallest = 1 OR count(DISTINCT visitor_id) >= $smallest
ORDER BY times DESC, kind, what
LIMIT $limit
