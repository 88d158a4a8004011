SELECT device_kind, count(*) AS visits, count(*) / sum(count(*)) OVER () AS share, sum(views)::BIGINT AS views
FROM visits_seen
GROUP BY device_kind
ORDER BY visits DESC, device_kind
LIMIT $limit
