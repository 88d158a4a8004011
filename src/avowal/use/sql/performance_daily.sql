SELECT (request_time AT TIME ZONE 'UTC' AT TIME ZONE $timezone)::DATE AS day,
       count(*) AS requests,
       sum(bytes)::BIGINT AS bytes,
       quantile_cont(response_time_us, 0.5) / 1000 AS median_response_ms,
       quantile_cont(response_time_us, 0.95) / 1000 AS p95_response_ms
FROM filtered_requests
GROUP BY day
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) FILTER (bot IS NULL) >= $group_visitors_min
ORDER BY day DESC
LIMIT $limit
