-- Select the rows of a report: those of its purpose view that are in the period and pass the filters.
-- A filter that is not given is NULL. If no filter asks for rows that belong to others, the subquery of IN is made empty,
-- because DuckDB would run that join in any case, which took half of a report's time.
WITH filtered_requests AS (
    SELECT * FROM requests
    WHERE request_time >= $since AND request_time < $until
        AND value_passes(host, $host)
        AND value_passes(page_path, $page)
        AND referrer_passes(referrer, $referrer, $site_hosts)
        AND value_passes(browser, $browser)
        AND value_passes(operating_system, $operating_system)
        AND value_passes(device_kind, $device)
        AND value_passes(status::VARCHAR, $status)
        AND value_passes(method, $method)
),
human_requests AS (SELECT * FROM filtered_requests WHERE bot IS NULL),
visits_in_period AS (
    SELECT * FROM visits
    WHERE visit_time >= $since AND visit_time < $until
        AND value_passes(host, $host)
        AND referrer_passes(referrer, $referrer, $site_hosts)
        AND value_passes(browser, $browser)
        AND value_passes(operating_system, $operating_system)
        AND value_passes(device_kind, $device)
),
filtered_views AS (
    SELECT * FROM views
    WHERE view_time >= $since AND view_time < $until
        AND value_passes(host, $host)
        AND value_passes(page_path, $page)
        AND referrer_passes(referrer, $referrer, $site_hosts)
        AND (coalesce($browser, $operating_system, $device) IS NULL
             OR (visitor_id, visit_time) IN (SELECT (visitor_id, visit_time) FROM visits_in_period
                                             WHERE coalesce($browser, $operating_system, $device) IS NOT NULL))
),
filtered_visits AS (
    SELECT * FROM visits_in_period
    WHERE $page IS NULL
        OR (visitor_id, visit_time) IN (SELECT (visitor_id, visit_time) FROM filtered_views WHERE $page IS NOT NULL)
),
script_views_in_period AS (
    SELECT * FROM script_views
    WHERE view_time >= $since AND view_time < $until
        AND value_passes(host, $host)
        AND value_passes(page_path, $page)
        AND referrer_passes(referrer, $referrer, $site_hosts)
        AND value_passes(browser, $browser)
        AND value_passes(operating_system, $operating_system)
        AND value_passes(device_kind, $device)
),
filtered_script_views AS (SELECT * FROM script_views_in_period WHERE bot IS NULL),
filtered_events AS (
    SELECT * FROM events
    WHERE event_time >= $since AND event_time < $until
        AND value_passes(host, $host)
        AND value_passes(page_path, $page)
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
