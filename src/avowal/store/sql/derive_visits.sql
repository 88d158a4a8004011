-- Derive visits from all activity in each. Host, country, referrer and device come from the visit's first activity.
INSERT INTO visits BY NAME
WITH grouped AS (
    SELECT visitor_id,
           visit_time,
           CASE WHEN (count(*) > 1 OR count(visible_ms) > 0) AND visit_time >= $visit_duration_since[min(governing)]
                THEN date_diff('millisecond', visit_time, max(end_time)) END AS visit_duration_ms,
           count(*) FILTER (request_kind = 'view') AS views,
           count(*) FILTER (request_kind = 'download') AS downloads,
           count(*) FILTER (request_kind = 'upload') AS uploads,
           arg_min_null(row_id, position) AS row_id,
           arg_min_null(is_script_view, position) AS is_script_view,
           arg_min_null(page_path, position) FILTER (request_kind = 'view') AS entry_path,
           arg_max_null(page_path, position) FILTER (request_kind = 'view') AS exit_path,
           min(version) AS version,
           min(governing) AS governing
    FROM activity
    GROUP BY visitor_id, visit_time
    HAVING visit_time >= $visit_time_since[min(governing)]
)
SELECT grouped.* EXCLUDE (row_id, is_script_view), first_activity.* EXCLUDE (row_id, is_script_view)
FROM grouped
JOIN (
    SELECT false AS is_script_view, rowid AS row_id, host, country, referrer, browser, browser_version,
           operating_system, operating_system_version, device_kind
    FROM requests WHERE request_time >= $rows_from AND request_time < $rows_to
    UNION ALL
    SELECT true, rowid, host, country, referrer, browser, browser_version,
           operating_system, operating_system_version, device_kind
    FROM script_views WHERE view_time >= $rows_from AND view_time < $rows_to
) AS first_activity USING (is_script_view, row_id)
