, local AS (
    SELECT *, (visit_time AT TIME ZONE 'UTC' AT TIME ZONE $timezone)::DATE AS day FROM filtered_visits
)
SELECT day,
       count(*) AS visits,
       count(DISTINCT daily_visitor_id(visitor_id, visit_time)) AS unique_visitors,
       sum(views)::BIGINT AS views,
       median(visit_duration_ms) AS median_visit_duration_ms,
       sum(downloads)::BIGINT AS downloads,
       sum(uploads)::BIGINT AS uploads
FROM local
GROUP BY day
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
ORDER BY day DESC
LIMIT $limit
