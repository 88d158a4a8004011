, filtered_events AS (
    SELECT * FROM events
    WHERE event_time >= $since AND event_time < $until
        AND ($host IS NULL OR coalesce(host, 'unknown') = $host OR host GLOB $host)
        AND ($page IS NULL OR coalesce(page_path, 'unknown') = $page OR page_path GLOB $page)
        AND (coalesce($referrer, $browser, $operating_system, $device) IS NULL
             OR visitor_id IN (SELECT visitor_id FROM visits_in_period))
),
labelled_events AS (
    SELECT 'download' AS event_kind, download_path AS target, * FROM filtered_events WHERE download_path IS NOT NULL
    UNION ALL BY NAME
    SELECT 'outbound-link' AS event_kind, outbound_link AS target, * FROM filtered_events WHERE outbound_link IS NOT NULL
    UNION ALL BY NAME
    SELECT 'upload' AS event_kind, page_path AS target, * FROM filtered_events WHERE upload_bytes IS NOT NULL
    UNION ALL BY NAME
    SELECT 'named-event' AS event_kind, event_name AS target, * FROM filtered_events WHERE event_name IS NOT NULL
)
SELECT event_kind, target, count(*) AS count, count(DISTINCT daily_visitor_id(visitor_id, event_time)) AS unique_visitors,
       sum(upload_bytes)::UBIGINT AS bytes
FROM labelled_events
GROUP BY event_kind, target
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
ORDER BY count DESC, event_kind, target
LIMIT $limit
