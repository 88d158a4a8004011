SELECT CASE
           WHEN visit_duration_ms IS NULL THEN 'unknown'
           WHEN visit_duration_ms < 10000 THEN 'under 10 s'
           WHEN visit_duration_ms < 60000 THEN '10 s to 1 min'
           WHEN visit_duration_ms < 180000 THEN '1 to 3 min'
           WHEN visit_duration_ms < 600000 THEN '3 to 10 min'
           WHEN visit_duration_ms < 1800000 THEN '10 to 30 min'
           ELSE '30 min and more'
       END AS duration_range,
       count(*) AS visits,
       count(*) / sum(count(*)) OVER () AS share,
       avg(views) AS views_per_visit,
       count(*) FILTER (downloads > 0) AS visits_with_download,
       count(*) FILTER (uploads > 0) AS visits_with_upload,
       count(*) FILTER (downloads + uploads = 0) AS visits_without_transfer
FROM filtered_visits
GROUP BY duration_range
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
ORDER BY min(visit_duration_ms) NULLS FIRST
