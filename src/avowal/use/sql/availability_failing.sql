SELECT page_path, status, count(*) AS server_errors,
       max(request_time) AT TIME ZONE 'UTC' AT TIME ZONE $timezone AS last_seen
FROM requests_seen
WHERE status BETWEEN 500 AND 599
GROUP BY page_path, status
HAVING $smallest = 1 OR count(DISTINCT visitor_id) FILTER (bot IS NULL) >= $smallest
ORDER BY server_errors DESC, page_path
LIMIT $limit
