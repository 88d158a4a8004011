-- Count the visitors behind each figure of `coverage.sql`, group by group; NULL where it counts no record of a visitor.
SELECT host,
       visitors_apart(visitor_id, view_source <> 'log') AS script_views,
       visitors_apart(visitor_id, view_source <> 'script') AS log_views,
       visitors_apart(visitor_id, view_source = 'both') AS matched_views,
       visitors_apart(visitor_id, view_source = 'script') AS script_only_views,
       visitors_apart(visitor_id, view_source = 'log') AS log_only_views
FROM filtered_views
GROUP BY host
