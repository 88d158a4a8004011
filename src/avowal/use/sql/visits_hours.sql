SELECT hour(visit_time AT TIME ZONE 'UTC' AT TIME ZONE $timezone) AS hour,
       count(*) AS visits,
       sum(views)::BIGINT AS views,
       median(visit_duration_ms) AS median_visit_duration_ms
FROM visits_seen
GROUP BY hour
HAVING $smallest = 1 OR count(DISTINCT visitor_id) >= $smallest
ORDER BY hour
