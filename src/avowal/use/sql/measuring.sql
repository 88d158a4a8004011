, looks_numbered AS (SELECT row_number() OVER () AS look, * FROM looks_seen),
lines_seen AS (SELECT row_number() OVER () AS line, * FROM people WHERE request_kind = 'view'),
near AS (
    SELECT line, look, abs(date_diff('millisecond', request_time, view_time)) AS apart
    FROM lines_seen JOIN looks_numbered AS looks_seen ON lines_seen.visitor_id = coalesce(day_key, looks_seen.visitor_id)
        AND lines_seen.page_path = looks_seen.page_path
    WHERE (lines_seen.host IS NULL OR lines_seen.host = looks_seen.host)
        AND view_time BETWEEN request_time - INTERVAL 5 SECOND AND request_time + INTERVAL 5 SECOND
),
matched AS (
    SELECT line, look FROM near
    QUALIFY row_number() OVER (PARTITION BY line ORDER BY apart, look) = 1
        AND row_number() OVER (PARTITION BY look ORDER BY apart, line) = 1
),
told AS (
    SELECT host, visitor_id, true AS by_script, look IN (SELECT look FROM matched) AS in_both FROM looks_numbered
    UNION ALL
    SELECT host, visitor_id, false, line IN (SELECT line FROM matched) FROM lines_seen
)
SELECT host,
       count(*) FILTER (by_script) AS views_by_script,
       count(*) FILTER (NOT by_script) AS views_by_log,
       count(*) FILTER (by_script AND in_both) AS in_both,
       count(*) FILTER (by_script AND NOT in_both) AS by_script_only,
       count(*) FILTER (NOT by_script AND NOT in_both) AS by_log_only
FROM told
GROUP BY host
HAVING $smallest = 1 OR count(DISTINCT visitor_id) >= $smallest
ORDER BY greatest(views_by_script, views_by_log) DESC, host
LIMIT $limit
