-- Count the visitors behind each figure of `visits.sql`, group by group; NULL where it counts no record of a visitor.
SELECT CASE
           WHEN visit_duration_ms IS NULL THEN 'unknown'
           WHEN visit_duration_ms < 10000 THEN 'under 10 s'
           WHEN visit_duration_ms < 60000 THEN '10 s to 1 min'
           WHEN visit_duration_ms < 180000 THEN '1 to 3 min'
           WHEN visit_duration_ms < 600000 THEN '3 to 10 min'
           WHEN visit_duration_ms < 1800000 THEN '10 to 30 min'
           ELSE '30 min and more'
       END AS duration_range,
       count(DISTINCT visitor_id) AS visits,
       count(DISTINCT visitor_id) AS share,
       visitors_behind(visitor_id, views > 0) AS views_per_visit,
       visitors_apart(visitor_id, downloads > 0) AS visits_with_download,
       visitors_apart(visitor_id, uploads > 0) AS visits_with_upload,
       visitors_apart(visitor_id, downloads + uploads = 0) AS visits_without_transfer
FROM filtered_visits
GROUP BY duration_range
