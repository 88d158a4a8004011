-- Count the visitors behind each figure of `visits_hourly.sql`, group by group; NULL where it counts no record of a visitor.
SELECT hour(visit_time AT TIME ZONE 'UTC' AT TIME ZONE $timezone) AS hour,
       count(DISTINCT visitor_id) AS visits,
       visitors_behind(visitor_id, views > 0) AS views,
       visitors_behind(visitor_id, visit_duration_ms IS NOT NULL) AS median_visit_duration_ms
FROM filtered_visits
GROUP BY hour
