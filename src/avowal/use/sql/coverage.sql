SELECT host,
       count(*) FILTER (view_source <> 'log') AS script_views,
       count(*) FILTER (view_source <> 'script') AS log_views,
       count(*) FILTER (view_source = 'both') AS matched_views,
       count(*) FILTER (view_source = 'script') AS script_only_views,
       count(*) FILTER (view_source = 'log') AS log_only_views
FROM filtered_views
GROUP BY host
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
ORDER BY greatest(script_views, log_views) DESC, host
LIMIT $limit
