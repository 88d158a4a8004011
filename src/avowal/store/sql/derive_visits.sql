-- Visits, from all that was done in each. What a visit says of its visitor is what its first deed says.
INSERT INTO visits BY NAME
WITH grouped AS (
    SELECT visitor_id,
           visit_time,
           CASE WHEN (count(*) > 1 OR count(seen_ms) > 0) AND visit_time >= $visit_duration_since[min(governing)]
                THEN date_diff('millisecond', visit_time, max(until)) END AS visit_duration_ms,
           count(*) FILTER (request_kind = 'view') AS views,
           count(*) FILTER (request_kind = 'download') AS downloads,
           count(*) FILTER (request_kind = 'upload') AS uploads,
           arg_min_null(deed, place) AS deed,
           arg_min_null(scripted, place) AS scripted,
           arg_min_null(page_path, place) FILTER (request_kind = 'view') AS entry_path,
           arg_max_null(page_path, place) FILTER (request_kind = 'view') AS exit_path,
           min(version) AS version,
           min(governing) AS governing
    FROM activity
    GROUP BY visitor_id, visit_time
    HAVING visit_time >= $visit_time_since[min(governing)]
)
SELECT grouped.* EXCLUDE (deed, scripted),
       began.host, began.country, began.referrer, began.browser, began.browser_version,
       began.operating_system, began.operating_system_version, began.device_kind
FROM grouped
JOIN (
    SELECT false AS scripted, rowid AS deed, host, country, referrer, browser, browser_version,
           operating_system, operating_system_version, device_kind
    FROM requests WHERE request_time >= $rows_from AND request_time < $rows_to
    UNION ALL
    SELECT true, rowid, host, country, referrer, browser, browser_version,
           operating_system, operating_system_version, device_kind
    FROM looks WHERE view_time >= $rows_from AND view_time < $rows_to
) AS began USING (scripted, deed)
