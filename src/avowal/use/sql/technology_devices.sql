SELECT device_kind, count(*) AS visits, count(*) / sum(count(*)) OVER () AS share, sum(views)::BIGINT AS views
FROM filtered_visits
GROUP BY device_kind
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
ORDER BY visits DESC, device_kind
LIMIT $limit
