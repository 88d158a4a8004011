-- Count the visitors behind each figure of `performance_largest_pages.sql`, group by group; NULL where it counts no record of a visitor.
SELECT page_path, count(DISTINCT visitor_id) AS requests, count(DISTINCT visitor_id) AS median_bytes,
       count(DISTINCT visitor_id) AS bytes
FROM human_requests
WHERE bytes > 0
GROUP BY page_path
