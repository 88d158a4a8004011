-- Collect the activity of the visitors in `visitors_in_slice`, each row (of `requests` or `script_views`) with its visit.
-- A visit is a visitor's activity (views, downloads, uploads) without a gap longer than $gap_minutes (docs/concepts.md),
-- under one version of the terms: so no view or visit holds what was collected under another version than its own (G11).
-- A visitor's key from a log is valid for one visitor day, so only rows within the longest day ($rows_from, $rows_to)
-- can belong to what was loaded. A cookie's key is valid for longer: if the slice has one, all later rows are searched.
-- If the script and the log both report a host on a day, the views of only one of them count.
-- `tie_breaker` orders rows of the same time by their own values, so that the order of loading has no influence.
CREATE OR REPLACE TEMP TABLE script_days AS
SELECT DISTINCT host, view_time::DATE AS day
FROM script_views
WHERE bot IS NULL AND view_time >= $rows_from::DATE AND view_time - INTERVAL 1 DAY < $rows_to;

CREATE OR REPLACE TEMP TABLE days_with_both_sources AS
SELECT DISTINCT script_days.host, day
FROM script_days JOIN requests ON (requests.host IS NULL OR requests.host = script_days.host)
    AND request_time >= day AND request_time < day + INTERVAL 1 DAY
WHERE request_kind = 'view' AND bot IS NULL;

CREATE OR REPLACE TEMP TABLE activity AS
WITH chosen AS (
    SELECT false AS is_script_view, rowid AS row_id, visitor_id, request_time, request_time AS end_time, request_kind,
           page_path, NULL::UBIGINT AS visible_ms, version, governing, hash(page_path, status, referrer) AS tie_breaker
    FROM requests
    WHERE request_kind IN ('view', 'download', 'upload') AND bot IS NULL
        AND request_time >= $rows_from AND request_time < $rows_to
        AND visitor_id IN (SELECT visitor_id FROM visitors_in_slice)
        AND NOT ($prefer_script AND request_kind = 'view' AND EXISTS (
            FROM days_with_both_sources AS days
            WHERE day = request_time::DATE AND (requests.host IS NULL OR requests.host = days.host)))
    UNION ALL
    SELECT true, rowid, visitor_id, view_time, view_time + to_milliseconds(coalesce(visible_ms, 0)), 'view', page_path,
           visible_ms, version, governing, hash(page_path, script_view_id)
    FROM script_views
    WHERE bot IS NULL AND view_time >= $rows_from AND view_time < $rows_to
        AND visitor_id IN (SELECT visitor_id FROM visitors_in_slice)
        AND NOT (NOT $prefer_script AND EXISTS (
            FROM days_with_both_sources AS days WHERE day = view_time::DATE AND script_views.host = days.host))
),
gaps AS (
    SELECT *, coalesce(
        request_time - max(end_time) OVER (
            PARTITION BY visitor_id ORDER BY request_time, tie_breaker ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
        > to_minutes($gap_minutes), true)
        OR version <> lag(version) OVER (PARTITION BY visitor_id ORDER BY request_time, tie_breaker) AS starts_visit,
        row_number() OVER (PARTITION BY visitor_id ORDER BY request_time, tie_breaker) AS position
    FROM chosen
)
-- A RANGE frame includes the rows of the same time.
SELECT * EXCLUDE (starts_visit), max(CASE WHEN starts_visit THEN request_time END) OVER (
    PARTITION BY visitor_id ORDER BY request_time RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS visit_time
FROM gaps;

-- Pair requests with the script views of the same page view: each is the other's nearest, within five seconds.
-- A script view learns its referrer from the request, and a request its visible time from the script view, if both were
-- collected under the same version, and nothing less protective governs the one that learns.
CREATE OR REPLACE TEMP TABLE log_script_pairs AS
WITH candidate_pairs AS (
    SELECT requests.rowid AS request_row, script_views.rowid AS script_view_row, requests.referrer,
           requests.governing AS request_governing, script_views.governing AS view_governing, script_views.visible_ms,
           abs(date_diff('millisecond', request_time, view_time)) AS distance_ms
    FROM requests JOIN script_views ON requests.visitor_id = coalesce(daily_key, script_views.visitor_id)
        AND requests.page_path = script_views.page_path AND requests.version = script_views.version
    WHERE request_kind = 'view' AND requests.bot IS NULL
        AND (requests.host IS NULL OR requests.host = script_views.host)
        AND CASE WHEN $prefer_script THEN script_views.visitor_id ELSE requests.visitor_id END
            IN (SELECT visitor_id FROM visitors_in_slice)
        AND request_time >= $rows_from AND request_time < $rows_to
        AND view_time >= $rows_from AND view_time < $rows_to
        AND view_time BETWEEN request_time - INTERVAL 5 SECOND AND request_time + INTERVAL 5 SECOND
),
matched AS (
    SELECT * FROM candidate_pairs
    QUALIFY row_number() OVER (PARTITION BY request_row ORDER BY distance_ms, script_view_row) = 1
        AND row_number() OVER (PARTITION BY script_view_row ORDER BY distance_ms, request_row) = 1
)
SELECT true AS is_script_view, script_view_row AS row_id, referrer, NULL::UBIGINT AS visible_ms
FROM matched WHERE view_governing <= request_governing
UNION ALL
SELECT false, request_row, NULL, visible_ms FROM matched WHERE request_governing <= view_governing
