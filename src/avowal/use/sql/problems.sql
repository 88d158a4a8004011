, pages AS (
    SELECT page_path,
           count(*) AS views,
           count(*) FILTER (looks_seen.not_found) AS not_found,
           count(*) FILTER (looks_seen.script_errors > 0) AS views_with_errors,
           coalesce(sum(looks_seen.script_errors), 0)::UBIGINT AS script_errors
    FROM looks_seen
    GROUP BY page_path
    HAVING $smallest = 1 OR count(DISTINCT visitor_id) >= $smallest
)
SELECT * FROM pages
WHERE not_found + views_with_errors > 0
ORDER BY not_found + views_with_errors DESC, page_path
LIMIT $limit
