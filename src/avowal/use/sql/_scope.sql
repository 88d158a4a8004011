-- Select the rows of a report: those of its purpose view that are in the period and pass the filters.
-- A filter that is not given is NULL. Patterns are globs, and a value as it is shown matches itself. `referrer` also
-- matches the site, as the report of sources shows it. If no filter asks for rows that belong to others, the subquery
-- of IN is made empty, because DuckDB would run that join in any case, which took half of a report's time.
WITH filtered_requests AS (
    SELECT * FROM requests
    WHERE request_time >= $since AND request_time < $until
        AND ($host IS NULL OR coalesce(host, 'unknown') = $host OR host GLOB $host)
        AND ($page IS NULL OR coalesce(page_path, 'unknown') = $page OR page_path GLOB $page)
        AND ($referrer IS NULL OR referrer GLOB $referrer
             OR coalesce(nullif(lower(regexp_extract(referrer, '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#:]+)', 1)), ''), '(none)') = $referrer
             OR ($referrer = '(this site)' AND list_contains($site_hosts, coalesce(nullif(lower(regexp_extract(referrer, '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#:]+)', 1)), ''), '(none)'))))
        AND ($browser IS NULL OR coalesce(browser, 'unknown') = $browser OR browser GLOB $browser)
        AND ($operating_system IS NULL OR coalesce(operating_system, 'unknown') = $operating_system OR operating_system GLOB $operating_system)
        AND ($device IS NULL OR coalesce(device_kind, 'unknown') = $device OR device_kind GLOB $device)
        AND ($status IS NULL OR coalesce(status::VARCHAR, 'unknown') = $status OR status::VARCHAR GLOB $status)
        AND ($method IS NULL OR coalesce(method, 'unknown') = $method OR method GLOB $method)
),
human_requests AS (SELECT * FROM filtered_requests WHERE bot IS NULL),
visits_in_period AS (
    SELECT * FROM visits
    WHERE visit_time >= $since AND visit_time < $until
        AND ($host IS NULL OR coalesce(host, 'unknown') = $host OR host GLOB $host)
        AND ($referrer IS NULL OR referrer GLOB $referrer
             OR coalesce(nullif(lower(regexp_extract(referrer, '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#:]+)', 1)), ''), '(none)') = $referrer
             OR ($referrer = '(this site)' AND list_contains($site_hosts, coalesce(nullif(lower(regexp_extract(referrer, '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#:]+)', 1)), ''), '(none)'))))
        AND ($browser IS NULL OR coalesce(browser, 'unknown') = $browser OR browser GLOB $browser)
        AND ($operating_system IS NULL OR coalesce(operating_system, 'unknown') = $operating_system OR operating_system GLOB $operating_system)
        AND ($device IS NULL OR coalesce(device_kind, 'unknown') = $device OR device_kind GLOB $device)
),
filtered_views AS (
    SELECT * FROM views
    WHERE view_time >= $since AND view_time < $until
        AND ($host IS NULL OR coalesce(host, 'unknown') = $host OR host GLOB $host)
        AND ($page IS NULL OR coalesce(page_path, 'unknown') = $page OR page_path GLOB $page)
        AND ($referrer IS NULL OR referrer GLOB $referrer
             OR coalesce(nullif(lower(regexp_extract(referrer, '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#:]+)', 1)), ''), '(none)') = $referrer
             OR ($referrer = '(this site)' AND list_contains($site_hosts, coalesce(nullif(lower(regexp_extract(referrer, '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#:]+)', 1)), ''), '(none)'))))
        AND (coalesce($browser, $operating_system, $device) IS NULL
             OR (visitor_id, visit_time) IN (SELECT (visitor_id, visit_time) FROM visits_in_period
                                             WHERE coalesce($browser, $operating_system, $device) IS NOT NULL))
),
filtered_visits AS (
    SELECT * FROM visits_in_period
    WHERE $page IS NULL
        OR (visitor_id, visit_time) IN (SELECT (visitor_id, visit_time) FROM filtered_views WHERE $page IS NOT NULL)
),
filtered_script_views AS (
    SELECT * FROM script_views
    WHERE bot IS NULL AND view_time >= $since AND view_time < $until
        AND ($host IS NULL OR coalesce(host, 'unknown') = $host OR host GLOB $host)
        AND ($page IS NULL OR coalesce(page_path, 'unknown') = $page OR page_path GLOB $page)
        AND ($referrer IS NULL OR referrer GLOB $referrer
             OR coalesce(nullif(lower(regexp_extract(referrer, '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#:]+)', 1)), ''), '(none)') = $referrer
             OR ($referrer = '(this site)' AND list_contains($site_hosts, coalesce(nullif(lower(regexp_extract(referrer, '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#:]+)', 1)), ''), '(none)'))))
        AND ($browser IS NULL OR coalesce(browser, 'unknown') = $browser OR browser GLOB $browser)
        AND ($operating_system IS NULL OR coalesce(operating_system, 'unknown') = $operating_system OR operating_system GLOB $operating_system)
        AND ($device IS NULL OR coalesce(device_kind, 'unknown') = $device OR device_kind GLOB $device)
)
