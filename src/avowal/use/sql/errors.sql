, pages AS (
    SELECT page_path,
           count(*) AS views,
           count(*) FILTER (filtered_script_views.not_found) AS not_found,
           count(*) FILTER (filtered_script_views.script_errors > 0) AS views_with_errors,
           coalesce(sum(filtered_script_views.script_errors), 0)::UBIGINT AS script_errors
    FROM filtered_script_views
    GROUP BY page_path
    HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
)
SELECT * FROM pages
WHERE not_found + views_with_errors > 0
ORDER BY not_found + views_with_errors DESC, page_path
LIMIT $limit
