SELECT operating_system, count(*) AS visits, count(*) / sum(count(*)) OVER () AS share, sum(views)::BIGINT AS views
FROM visits_seen
GROUP BY operating_system
HAVING $smallest = 1 OR count(DISTINCT visitor_id) >= $smallest
ORDER BY visits DESC, operating_system
LIMIT $limit
