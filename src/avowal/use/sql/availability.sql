SELECT status, count(*) AS requests, count(*) / sum(count(*)) OVER () AS share,
       count(*) FILTER (bot IS NULL) AS human_requests,
       max(request_time) AT TIME ZONE 'UTC' AT TIME ZONE $timezone AS last_seen_at
FROM filtered_requests
GROUP BY status
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) FILTER (bot IS NULL) >= $group_visitors_min
ORDER BY requests DESC, status
LIMIT $limit
