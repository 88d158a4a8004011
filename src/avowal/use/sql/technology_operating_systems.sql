SELECT operating_system, count(*) AS visits, count(*) / sum(count(*)) OVER () AS share, sum(views)::BIGINT AS views
FROM filtered_visits
GROUP BY operating_system
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
ORDER BY visits DESC, operating_system
LIMIT $limit
