SELECT device_kind, count(*) AS visits, count(*) / sum(count(*)) OVER () AS share, sum(views)::BIGINT AS views
FROM visits_seen
GROUP BY device_kind
HAVING $smallest = 1 OR count(DISTINCT visitor_id) >= $smallest
ORDER BY visits DESC, device_kind
LIMIT $limit
