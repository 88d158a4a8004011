SELECT page_path, status, count(*) AS server_errors,
       max(request_time) AT TIME ZONE 'UTC' AT TIME ZONE $timezone AS last_seen_at
FROM filtered_requests
WHERE status BETWEEN 500 AND 599
GROUP BY page_path, status
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) FILTER (bot IS NULL) >= $group_visitors_min
ORDER BY server_errors DESC, page_path
LIMIT $limit
