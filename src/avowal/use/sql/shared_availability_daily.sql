-- Count the visitors behind each figure of `availability_daily.sql`, group by group; NULL where it counts no record of a visitor.
SELECT (request_time AT TIME ZONE 'UTC' AT TIME ZONE $timezone)::DATE AS day,
       count(DISTINCT visitor_id) AS requests,
       visitors_apart(visitor_id, status BETWEEN 400 AND 499) AS client_errors,
       visitors_apart(visitor_id, status BETWEEN 500 AND 599) AS server_errors,
       visitors_apart(visitor_id, status BETWEEN 500 AND 599) AS server_error_rate
FROM human_requests
GROUP BY day
