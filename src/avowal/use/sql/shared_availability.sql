-- Count the visitors behind each figure of `availability.sql`, group by group; NULL where it counts no record of a visitor.
SELECT status,
       visitors_behind(visitor_id, bot IS NULL) AS requests,
       visitors_behind(visitor_id, bot IS NULL) AS share,
       visitors_behind(visitor_id, bot IS NULL) AS human_requests
FROM filtered_requests
GROUP BY status
