-- Return views with their durations: the visible time if the script measured it, else the time until the visit's next
-- view. Each $…_since has, for each governing number, the oldest time of which that category may still be kept, or the
-- end of time if it may not be kept at all.
WITH timed_views AS (
    SELECT *, lead(record_time) OVER (PARTITION BY unit, visit_time ORDER BY record_time, tie_breaker) AS next_view_time
    FROM activity
    WHERE request_kind = 'view' AND record_time >= $view_time_since[governing]
)
SELECT record_time AS view_time,
       CASE WHEN record_time >= $view_duration_since[timed_views.governing] THEN coalesce(visible_ms,
            CASE WHEN request_number IS NOT NULL AND visit_time IS NOT NULL
                 THEN date_diff('millisecond', record_time, next_view_time) END)
       END::UBIGINT AS view_duration_ms,
       visitor_id,
       CASE WHEN visit_time >= $visit_time_since[timed_views.governing] THEN visit_time END AS visit_time,
       source_rows.host, source_rows.page_path,
       coalesce(source_rows.referrer, log_referrers.referrer) AS referrer,
       CASE WHEN request_number IS NULL THEN 'script' WHEN script_view_number IS NULL THEN 'log' ELSE 'both'
       END::view_source AS view_source,
       request_number, script_view_number, timed_views.version, timed_views.governing
FROM timed_views JOIN (
    SELECT false AS is_script_view, rowid AS row_id, host, page_path, referrer FROM requests
    WHERE request_time >= $rows_from AND request_time < $rows_to
    UNION ALL
    SELECT true, rowid, host, page_path, referrer FROM script_views
    WHERE view_time >= $rows_from AND view_time < $rows_to
) AS source_rows USING (is_script_view, row_id)
LEFT JOIN (
    SELECT rowid AS referrer_row, referrer FROM requests
    WHERE referrer IS NOT NULL AND request_time >= $rows_from AND request_time < $rows_to
        AND rowid IN (SELECT referrer_row FROM activity)
) AS log_referrers USING (referrer_row)
