-- What a question is about: the rows of its reading that are of its period, and that pass its filters.
-- A filter that is not given is null. Patterns are globs. Rows that belong to others which pass are looked for among none
-- where no filter asks for it: DuckDB makes that join in any case, and it took half of a report.
WITH filtered_requests AS (
    SELECT * FROM requests
    WHERE request_time >= $since AND request_time < $until
        AND ($host IS NULL OR host GLOB $host)
        AND ($page IS NULL OR page_path GLOB $page)
        AND ($referrer IS NULL OR referrer GLOB $referrer)
        AND ($browser IS NULL OR browser GLOB $browser)
        AND ($system IS NULL OR operating_system GLOB $system)
        AND ($device IS NULL OR device_kind GLOB $device)
        AND ($status IS NULL OR status::VARCHAR GLOB $status)
        AND ($method IS NULL OR method GLOB $method)
),
human_requests AS (SELECT * FROM filtered_requests WHERE bot IS NULL),
visits_in_period AS (
    SELECT * FROM visits
    WHERE visit_time >= $since AND visit_time < $until
        AND ($host IS NULL OR host GLOB $host)
        AND ($referrer IS NULL OR referrer GLOB $referrer)
        AND ($browser IS NULL OR browser GLOB $browser)
        AND ($system IS NULL OR operating_system GLOB $system)
        AND ($device IS NULL OR device_kind GLOB $device)
),
filtered_views AS (
    SELECT * FROM views
    WHERE view_time >= $since AND view_time < $until
        AND ($host IS NULL OR host GLOB $host)
        AND ($page IS NULL OR page_path GLOB $page)
        AND ($referrer IS NULL OR referrer GLOB $referrer)
        AND (coalesce($browser, $system, $device) IS NULL
             OR (visitor_id, visit_time) IN (SELECT (visitor_id, visit_time) FROM visits_in_period
                                             WHERE coalesce($browser, $system, $device) IS NOT NULL))
),
filtered_visits AS (
    SELECT * FROM visits_in_period
    WHERE $page IS NULL
        OR (visitor_id, visit_time) IN (SELECT (visitor_id, visit_time) FROM filtered_views WHERE $page IS NOT NULL)
),
filtered_script_views AS (
    SELECT * FROM script_views
    WHERE bot IS NULL AND view_time >= $since AND view_time < $until
        AND ($host IS NULL OR host GLOB $host)
        AND ($page IS NULL OR page_path GLOB $page)
        AND ($referrer IS NULL OR referrer GLOB $referrer)
        AND ($browser IS NULL OR browser GLOB $browser)
        AND ($system IS NULL OR operating_system GLOB $system)
        AND ($device IS NULL OR device_kind GLOB $device)
)
