, entries AS (SELECT entry_path AS page_path, count(*) AS entries FROM filtered_visits GROUP BY ALL),
exits AS (SELECT exit_path AS page_path, count(*) AS exits FROM filtered_visits GROUP BY ALL),
pages AS (
    SELECT page_path,
           count(*) AS views,
           count(DISTINCT daily_visitor_id(visitor_id, coalesce(visit_time, view_time))) AS unique_visitors,
           median(view_duration_ms) AS median_time_on_page_ms,
           count(view_duration_ms) / count(*) AS measured_share
    FROM filtered_views
    GROUP BY page_path
    HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
    ORDER BY views DESC, page_path
    LIMIT $limit
)
SELECT page_path, views, unique_visitors, median_time_on_page_ms, measured_share,
       coalesce(entries, 0) AS entries, coalesce(exits, 0) AS exits
FROM pages LEFT JOIN entries USING (page_path) LEFT JOIN exits USING (page_path)
ORDER BY views DESC, page_path
