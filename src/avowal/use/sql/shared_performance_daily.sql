-- Count the visitors behind each figure of `performance_daily.sql`, group by group; NULL where it counts no record of a visitor.
SELECT (request_time AT TIME ZONE 'UTC' AT TIME ZONE $timezone)::DATE AS day,
       count(DISTINCT visitor_id) AS requests,
       visitors_behind(visitor_id, bytes > 0) AS bytes,
       visitors_behind(visitor_id, response_time_us IS NOT NULL) AS median_response_ms,
       visitors_behind(visitor_id, response_time_us IS NOT NULL) AS p95_response_ms
FROM human_requests
GROUP BY day
