SELECT operating_system, count(*) AS visits, count(*) / sum(count(*)) OVER () AS share, sum(views)::BIGINT AS views
FROM visits_seen
GROUP BY operating_system
ORDER BY visits DESC, operating_system
LIMIT $limit
