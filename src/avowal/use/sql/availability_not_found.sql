SELECT page_path, count(*) AS not_found, count(*) FILTER (bot IS NULL) AS human_requests,
       max(request_time) AT TIME ZONE 'UTC' AT TIME ZONE $timezone AS last_seen_at
FROM filtered_requests
WHERE status IN (404, 410)
GROUP BY page_path
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) FILTER (bot IS NULL) >= $group_visitors_min
ORDER BY human_requests DESC, not_found DESC, page_path
LIMIT $limit
