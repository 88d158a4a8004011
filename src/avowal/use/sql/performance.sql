SELECT page_path,
       count(response_time_us) AS requests,
       quantile_cont(response_time_us, 0.5) / 1000 AS median_response_ms,
       quantile_cont(response_time_us, 0.95) / 1000 AS p95_response_ms,
       quantile_cont(response_time_us, 0.99) / 1000 AS p99_response_ms,
       max(response_time_us) / 1000 AS max_response_ms,
       median(bytes) AS median_bytes
FROM filtered_requests
WHERE response_time_us IS NOT NULL
GROUP BY page_path
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) FILTER (bot IS NULL) >= $group_visitors_min
ORDER BY sum(response_time_us) DESC, page_path
LIMIT $limit
