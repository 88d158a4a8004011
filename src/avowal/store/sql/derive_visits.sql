-- Return visits from all activity in each. Host, country, referrer and device come from the visit's first activity.
WITH grouped AS (
    SELECT any_value(visitor_id) AS visitor_id,
           visit_time,
           (CASE WHEN (count(*) > 1 OR count(visible_ms) > 0) AND visit_time >= $visit_duration_since[min(governing)]
                 THEN date_diff('millisecond', visit_time, max(end_time)) END)::UBIGINT AS visit_duration_ms,
           (count(*) FILTER (request_kind = 'view'))::UINTEGER AS views,
           (count(*) FILTER (request_kind = 'download'))::UINTEGER AS downloads,
           (count(*) FILTER (request_kind = 'upload'))::UINTEGER AS uploads,
           arg_min_null(row_id, position) AS row_id,
           arg_min_null(is_script_view, position) AS is_script_view,
           arg_min_null(referrer_row, position) AS referrer_row,
           arg_min_null(page_path, position) FILTER (request_kind = 'view') AS entry_path,
           arg_max_null(page_path, position) FILTER (request_kind = 'view') AS exit_path,
           min(version) AS version,
           min(governing) AS governing
    FROM activity
    GROUP BY unit, visit_time
    HAVING visit_time >= $visit_time_since[min(governing)]
)
SELECT grouped.* EXCLUDE (row_id, is_script_view, referrer_row),
       first_activity.* EXCLUDE (row_id, is_script_view)
           REPLACE (coalesce(first_activity.referrer, log_referrers.referrer) AS referrer)
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
LEFT JOIN (
    SELECT rowid AS referrer_row, referrer FROM requests
    WHERE referrer IS NOT NULL AND request_time >= $rows_from AND request_time < $rows_to
        AND rowid IN (SELECT referrer_row FROM activity)
) AS log_referrers USING (referrer_row)
