SELECT (request_time AT TIME ZONE 'UTC' AT TIME ZONE $timezone)::DATE AS day,
       count(*) AS requests,
       count(*) FILTER (status BETWEEN 400 AND 499) AS client_errors,
       count(*) FILTER (status BETWEEN 500 AND 599) AS server_errors,
       count(*) FILTER (status BETWEEN 500 AND 599) / count(*) AS server_error_rate
FROM filtered_requests
GROUP BY day
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) FILTER (bot IS NULL) >= $group_visitors_min
ORDER BY day DESC
LIMIT $limit
