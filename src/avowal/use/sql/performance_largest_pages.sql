SELECT page_path, count(*) AS requests, median(bytes) AS median_bytes, sum(bytes)::BIGINT AS bytes
FROM filtered_requests
WHERE bytes > 0
GROUP BY page_path
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) FILTER (bot IS NULL) >= $group_visitors_min
ORDER BY bytes DESC, page_path
LIMIT $limit
