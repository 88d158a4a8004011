-- Count the visitors behind each figure of `overview_daily.sql`, group by group; NULL where it counts no record of a visitor.
SELECT (visit_time AT TIME ZONE 'UTC' AT TIME ZONE $timezone)::DATE AS day,
       count(DISTINCT visitor_id) AS visits,
       count(DISTINCT visitor_id) AS unique_visitors,
       visitors_behind(visitor_id, views > 0) AS views,
       visitors_behind(visitor_id, visit_duration_ms IS NOT NULL) AS median_visit_duration_ms,
       visitors_behind(visitor_id, downloads > 0) AS downloads,
       visitors_behind(visitor_id, uploads > 0) AS uploads
FROM filtered_visits
GROUP BY day
