SELECT page_path, count(*) AS requests, median(bytes) AS median_bytes, sum(bytes)::BIGINT AS bytes
FROM requests_seen
WHERE bytes > 0
GROUP BY page_path
HAVING $smallest = 1 OR count(DISTINCT visitor_id) FILTER (bot IS NULL) >= $smallest
ORDER BY bytes DESC, page_path
LIMIT $limit
