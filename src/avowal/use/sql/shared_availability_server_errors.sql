-- Count the visitors behind each figure of `availability_server_errors.sql`, group by group; NULL where it counts no record of a visitor.
SELECT page_path, status, count(DISTINCT visitor_id) AS server_errors
FROM human_requests
WHERE status BETWEEN 500 AND 599
GROUP BY page_path, status
