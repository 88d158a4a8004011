-- Count the visitors behind each figure of `errors.sql`, group by group; NULL where it counts no record of a visitor.
SELECT page_path, count(DISTINCT visitor_id) AS views,
       visitors_apart(visitor_id, not_found) AS not_found,
       visitors_apart(visitor_id, script_errors > 0) AS views_with_errors,
       visitors_behind(visitor_id, script_errors > 0) AS script_errors
FROM filtered_script_views
GROUP BY page_path
