-- Derive views with their durations: the visible time if the script measured it, else the time until the visit's next
-- view. Each $…_since has, for each governing number, the oldest time of which that category may still be kept, or the
-- end of time if it may not be kept at all.
INSERT INTO views BY NAME
WITH timed_views AS (
    SELECT *, lead(request_time) OVER (
        PARTITION BY visitor_id, visit_time ORDER BY request_time, tie_breaker) AS next_view_time
    FROM activity
    WHERE request_kind = 'view' AND request_time >= $view_time_since[governing]
)
SELECT request_time AS view_time,
       CASE WHEN request_time >= $view_duration_since[governing]
            THEN CASE WHEN is_script_view THEN timed_views.visible_ms
                      ELSE coalesce(pairs.visible_ms, date_diff('millisecond', request_time, next_view_time)) END
       END AS view_duration_ms,
       visitor_id,
       CASE WHEN visit_time >= $visit_time_since[governing] THEN visit_time END AS visit_time,
       source_rows.host, source_rows.page_path,
       coalesce(source_rows.referrer, pairs.referrer) AS referrer, timed_views.version, timed_views.governing
FROM timed_views JOIN (
    SELECT false AS is_script_view, rowid AS row_id, host, page_path, referrer FROM requests
    WHERE request_time >= $rows_from AND request_time < $rows_to
    UNION ALL
    SELECT true, rowid, host, page_path, referrer FROM script_views
    WHERE view_time >= $rows_from AND view_time < $rows_to
) AS source_rows USING (is_script_view, row_id)
LEFT JOIN log_script_pairs AS pairs USING (is_script_view, row_id);

-- Derive the views of rows without a key, since the first such row that was loaded. The choice between script and log is
-- the same, by the days on which the other one reports the host.
INSERT INTO views BY NAME
WITH days_of_other_source AS MATERIALIZED (
    SELECT DISTINCT host, view_time::DATE AS day
    FROM script_views
    WHERE bot IS NULL AND $prefer_script
        AND view_time >= (SELECT since::DATE FROM visitors_in_slice WHERE visitor_id IS NULL)
)
SELECT request_time AS view_time, host, page_path, referrer, version, governing
FROM requests
WHERE request_kind = 'view' AND bot IS NULL AND visitor_id IS NULL AND request_time >= $view_time_since[governing]
    AND request_time >= (SELECT since FROM visitors_in_slice WHERE visitor_id IS NULL)
    AND NOT EXISTS (
        FROM days_of_other_source AS days
        WHERE day = request_time::DATE AND (requests.host IS NULL OR requests.host = days.host));

INSERT INTO views BY NAME
WITH days_of_other_source AS MATERIALIZED (
    SELECT DISTINCT host, request_time::DATE AS day
    FROM requests
    WHERE request_kind = 'view' AND bot IS NULL AND NOT $prefer_script
        AND request_time >= (SELECT since::DATE FROM visitors_in_slice WHERE visitor_id IS NULL)
)
SELECT view_time,
       CASE WHEN view_time >= $view_duration_since[governing] THEN visible_ms END AS view_duration_ms,
       host, page_path, referrer, version, governing
FROM script_views
WHERE bot IS NULL AND visitor_id IS NULL AND view_time >= $view_time_since[governing]
    AND view_time >= (SELECT since FROM visitors_in_slice WHERE visitor_id IS NULL)
    AND NOT EXISTS (
        FROM days_of_other_source AS days
        WHERE day = view_time::DATE AND (days.host IS NULL OR days.host = script_views.host));
