, filtered_events AS (
    SELECT * FROM events
    WHERE event_time >= $since AND event_time < $until
        AND ($host IS NULL OR host GLOB $host)
        AND ($page IS NULL OR page_path GLOB $page)
        AND (coalesce($referrer, $browser, $system, $device) IS NULL
             OR visitor_id IN (SELECT visitor_id FROM visits_in_period))
),
labelled_events AS (
    SELECT 'download' AS kind, download_path AS what, * FROM filtered_events WHERE download_path IS NOT NULL
    UNION ALL BY NAME
    SELECT 'link to another site' AS kind, outbound_link AS what, * FROM filtered_events WHERE outbound_link IS NOT NULL
    UNION ALL BY NAME
    SELECT 'upload' AS kind, page_path AS what, * FROM filtered_events WHERE upload_bytes IS NOT NULL
    UNION ALL BY NAME
    SELECT 'event' AS kind, event_name AS what, * FROM filtered_events WHERE event_name IS NOT NULL
)
SELECT kind, what, count(*) AS times, count(DISTINCT visitor_id) AS day_visitors, sum(upload_bytes)::UBIGINT AS bytes
FROM labelled_events
GROUP BY kind, what
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
ORDER BY times DESC, kind, what
LIMIT $limit
