SELECT hour(visit_time AT TIME ZONE 'UTC' AT TIME ZONE $timezone) AS hour,
       count(*) AS visits,
       sum(views)::BIGINT AS views,
       median(visit_duration_ms) AS median_visit_duration_ms
FROM filtered_visits
GROUP BY hour
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
ORDER BY hour
