, script_views_numbered AS (SELECT row_number() OVER () AS script_view, * FROM filtered_script_views),
log_views AS (SELECT row_number() OVER () AS log_view, * FROM human_requests WHERE request_kind = 'view'),
candidate_pairs AS (
    SELECT log_view, script_view, abs(date_diff('millisecond', request_time, view_time)) AS distance_ms
    FROM log_views JOIN script_views_numbered AS measured
        ON log_views.visitor_id = coalesce(daily_key, measured.visitor_id)
        AND log_views.page_path = measured.page_path
    WHERE (log_views.host IS NULL OR log_views.host = measured.host)
        AND view_time BETWEEN request_time - INTERVAL 5 SECOND AND request_time + INTERVAL 5 SECOND
),
matched AS (
    SELECT log_view, script_view FROM candidate_pairs
    QUALIFY row_number() OVER (PARTITION BY log_view ORDER BY distance_ms, script_view) = 1
        AND row_number() OVER (PARTITION BY script_view ORDER BY distance_ms, log_view) = 1
),
all_views AS (
    SELECT host, visitor_id, true AS by_script, script_view IN (SELECT script_view FROM matched) AS is_matched
    FROM script_views_numbered
    UNION ALL
    SELECT host, visitor_id, false, log_view IN (SELECT log_view FROM matched) FROM log_views
)
SELECT host,
       count(*) FILTER (by_script) AS script_views,
       count(*) FILTER (NOT by_script) AS log_views,
       count(*) FILTER (by_script AND is_matched) AS matched_views,
       count(*) FILTER (by_script AND NOT is_matched) AS script_only_views,
       count(*) FILTER (NOT by_script AND NOT is_matched) AS log_only_views
FROM all_views
GROUP BY host
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
ORDER BY greatest(script_views, log_views) DESC, host
LIMIT $limit
