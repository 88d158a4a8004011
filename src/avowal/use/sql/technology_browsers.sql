SELECT browser, count(*) AS visits, count(*) / sum(count(*)) OVER () AS share, sum(views)::BIGINT AS views
FROM filtered_visits
GROUP BY browser
HAVING $group_visitors_min = 1 OR count(DISTINCT visitor_id) >= $group_visitors_min
ORDER BY visits DESC, browser
LIMIT $limit
