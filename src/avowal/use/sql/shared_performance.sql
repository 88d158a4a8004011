-- Count the visitors behind each figure of `performance.sql`, group by group; NULL where it counts no record of a visitor.
SELECT page_path,
       count(DISTINCT visitor_id) AS requests,
       count(DISTINCT visitor_id) AS median_response_ms,
       count(DISTINCT visitor_id) AS p95_response_ms,
       count(DISTINCT visitor_id) AS p99_response_ms,
       visitors_behind(visitor_id, bytes IS NOT NULL) AS median_bytes
FROM human_requests
WHERE response_time_us IS NOT NULL
GROUP BY page_path
