-- Count the visitors behind each figure of `availability_not_found.sql`, group by group; NULL where it counts no record of a visitor.
SELECT page_path, count(DISTINCT visitor_id) AS not_found, count(DISTINCT visitor_id) AS human_requests
FROM human_requests
WHERE status IN (404, 410)
GROUP BY page_path
