-- Count the visitors behind each figure of `downloads.sql`, group by group; NULL where it counts no record of a visitor.
SELECT page_path, count(DISTINCT visitor_id) AS downloads, count(DISTINCT visitor_id) AS unique_visitors,
       visitors_behind(visitor_id, bytes > 0) AS bytes
FROM human_requests
WHERE request_kind = 'download'
GROUP BY page_path
