SELECT browser, count(*) AS visits, count(*) / sum(count(*)) OVER () AS share, sum(views)::BIGINT AS views
FROM visits_seen
GROUP BY browser
HAVING $smallest = 1 OR count(DISTINCT visitor_id) >= $smallest
ORDER BY visits DESC, browser
LIMIT $limit
